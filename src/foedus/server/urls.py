"""The addresses that Django answers; what waits or streams is routed in ``asgi``."""

from django.http import HttpResponseRedirect
from django.templatetags.static import static
from django.urls import path
from django.urls.resolvers import RoutePattern, URLPattern, URLResolver

from foedus import bootstrap

_FACES = (
    ("native", "foedus/v1/", "foedus.faces.native.urls"),
    ("flaas", "api/", "foedus.faces.flaas.urls"),
    ("nevermined", "api/v1/", "foedus.faces.nevermined.urls"),
    ("nevermined", "", "foedus.faces.nevermined.roots"),
    ("console", "console/", "foedus.faces.console.urls"),
    ("fma", "", "foedus.faces.fma.urls"),
)

_NAMES = {"console": "console"}  # by which pages call each other
_ICON = "console/favicon.svg"  # browsers ask for one wherever no page names it, such as when somebody signs in


def _late(prefix: str, module: str, name: str | None = None) -> URLResolver:
    """Addresses below a prefix, imported when the first of them is asked for: Django does so with a module's name."""
    return URLResolver(RoutePattern(prefix), module, app_name=name, namespace=name)


urlpatterns: list[URLPattern | URLResolver] = [
    _late("admin/", "foedus.server.admin_urls", "admin"),
    path("favicon.ico", lambda _: HttpResponseRedirect(static(_ICON))),
    *(_late(prefix, module, _NAMES.get(face)) for face, prefix, module in _FACES if face in bootstrap.settings().faces),
]
