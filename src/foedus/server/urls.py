"""The addresses that Django answers; what waits or streams is routed in ``asgi``."""

from django.contrib import admin
from django.urls import include, path
from django.urls.resolvers import URLPattern, URLResolver

from foedus import bootstrap

_FACES = {
    "native": [path("foedus/v1/", include("foedus.faces.native.urls"))],
    "flaas": [path("api/", include("foedus.faces.flaas.urls"))],
    "fma": [path("", include("foedus.faces.fma.urls"))],
}

urlpatterns: list[URLPattern | URLResolver] = [
    path("admin/", admin.site.urls),
    *(pattern for face in bootstrap.settings().faces for pattern in _FACES[face]),
]
