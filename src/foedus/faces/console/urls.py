"""The addresses of the pages, as their sections tell them."""

from django.urls import path
from django.urls.resolvers import URLPattern

from foedus.faces.console.options import OPTIONS
from foedus.faces.console.registry import sections
from foedus.faces.console.views import page

urlpatterns: list[URLPattern] = [
    path(
        f"{section.name}/{view.route}" if section.order else view.route,
        page(section, view),
        name=f"{section.name}{number or ''}",
    )
    for section in sections(OPTIONS.faces)
    for number, view in enumerate(section.views)
]
