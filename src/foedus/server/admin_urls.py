"""The addresses of the admin pages. Faces that are on have pages of their own."""

from django.contrib import admin
from django.utils.module_loading import autodiscover_modules

from foedus import bootstrap

_PAGES = {"flaas": "fleet_admin", "fma": "fma_admin", "symetryml": "symetryml_admin"}

admin.autodiscover()
for _face in bootstrap.settings().faces:
    if _face in _PAGES:
        autodiscover_modules(_PAGES[_face])

urlpatterns, _, _ = admin.site.urls
