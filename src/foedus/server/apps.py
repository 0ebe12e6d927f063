from django.apps import AppConfig
from django.contrib.admin.apps import AdminConfig as DjangoAdminConfig


class ServerConfig(AppConfig):
    name = "foedus.server"
    label = "server"

    def ready(self) -> None:
        """Tell the face how often anybody may ask: it does not read settings by itself."""
        from foedus import bootstrap
        from foedus.faces.native.limits import LIMITS

        LIMITS.configure(bootstrap.settings().requests_per_second)


class AdminConfig(DjangoAdminConfig):
    default_site = "foedus.server.admin_site.Site"
