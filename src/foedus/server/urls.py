"""The addresses that Django answers; what waits or streams is routed in ``asgi``."""

from django.contrib import admin
from django.http import HttpResponseRedirect
from django.templatetags.static import static
from django.urls import include, path
from django.urls.resolvers import URLPattern, URLResolver

from foedus import bootstrap

# Imported only where they are on: a face may bring libraries that others do without.
_FACES = (
    ("native", "foedus/v1/", "foedus.faces.native.urls"),
    ("flaas", "api/", "foedus.faces.flaas.urls"),
    ("nevermined", "api/v1/", "foedus.faces.nevermined.urls"),
    ("nevermined", "", "foedus.faces.nevermined.roots"),
    ("console", "console/", "foedus.faces.console.urls"),
    ("fma", "", "foedus.faces.fma.urls"),
)

_ICON = "console/favicon.svg"  # browsers ask for one wherever no page names it, such as when somebody signs in

urlpatterns: list[URLPattern | URLResolver] = [
    path("admin/", admin.site.urls),
    path("favicon.ico", lambda _: HttpResponseRedirect(static(_ICON))),
    *(path(prefix, include(module)) for face, prefix, module in _FACES if face in bootstrap.settings().faces),
]
