from django.apps import AppConfig
from django.contrib.admin.apps import SimpleAdminConfig

from foedus.options import Settings


class ServerConfig(AppConfig):
    name = "foedus.server"
    label = "server"

    def ready(self) -> None:
        """Tell the faces how often anybody may ask, and from which pages: they do not read settings by themselves."""
        from foedus import bootstrap
        from foedus.faces.console.options import OPTIONS as CONSOLE
        from foedus.faces.fma.limits import LIMITS as FMA
        from foedus.faces.fma.origins import ORIGINS
        from foedus.faces.native.limits import LIMITS as NATIVE
        from foedus.faces.symetryml.limits import LIMITS as SYMETRYML

        for limits in (NATIVE, FMA, SYMETRYML):
            limits.configure(bootstrap.settings().requests_per_second)
        CONSOLE.configure(bootstrap.settings().faces)
        ORIGINS.configure(bootstrap.settings().page_origins)
        if "nevermined" in bootstrap.settings().faces:
            self._configure_market(bootstrap.settings())

    def _configure_market(self, options: Settings) -> None:
        from foedus.core.market.rules import Rules, Uploads
        from foedus.faces.nevermined.hosts import Names
        from foedus.faces.nevermined.limits import MARKET

        rules = Rules(lenient=options.market_lenient, free_only=options.market_free_only)
        uploads = Uploads(
            options.market_uploads, each=options.market_upload_bytes, total=options.market_uploads_total_bytes
        )
        MARKET.configure(
            options.requests_per_second, rules, uploads, is_compute_open=options.market_compute_open,
            names=Names.of([*options.hosts, *options.trusted_origins]),
        )  # fmt: skip


class AdminConfig(SimpleAdminConfig):
    """Its pages are found when the first is asked for: see ``admin_urls``."""

    default_site = "foedus.server.admin_site.Site"
