from django.apps import AppConfig
from django.contrib.admin.apps import AdminConfig as DjangoAdminConfig
from django.utils.module_loading import autodiscover_modules


class ServerConfig(AppConfig):
    name = "foedus.server"
    label = "server"

    def ready(self) -> None:
        """Tell the faces how often anybody may ask, and from which pages: they do not read settings by themselves."""
        from foedus import bootstrap
        from foedus.faces.fma.limits import LIMITS as FMA
        from foedus.faces.fma.origins import ORIGINS
        from foedus.faces.native.limits import LIMITS as NATIVE

        for limits in (NATIVE, FMA):
            limits.configure(bootstrap.settings().requests_per_second)
        ORIGINS.configure(bootstrap.settings().page_origins)


class AdminConfig(DjangoAdminConfig):
    default_site = "foedus.server.admin_site.Site"

    def ready(self) -> None:
        """Faces that are on add pages of their own."""
        from foedus import bootstrap

        super().ready()
        if "flaas" in bootstrap.settings().faces:
            autodiscover_modules("fleet_admin")
        if "fma" in bootstrap.settings().faces:
            autodiscover_modules("fma_admin")
