from django.apps import AppConfig


class ServerConfig(AppConfig):
    name = "foedus.server"
    label = "server"

    def ready(self) -> None:
        """Tell the face how often anybody may ask: it does not read settings by itself."""
        from foedus import bootstrap
        from foedus.faces.native.limits import LIMITS

        LIMITS.configure(bootstrap.settings().requests_per_second)
