"""The addresses below ``/api/`` that Django answers, each with and without a slash at its end."""

from django.urls import path, register_converter
from django.urls.converters import IntConverter
from django.urls.resolvers import URLPattern, URLResolver

from foedus.faces.flaas import views
from foedus.faces.flaas.views import View, calls


class Id(IntConverter):
    """A primary key: more digits than a database keeps name nothing."""

    regex = "[0-9]{1,18}"


register_converter(Id, "flaas_id")


def _both(route: str, view: View) -> tuple[URLPattern, URLPattern]:
    return path(route, view), path(f"{route}/", view)


urlpatterns: list[URLPattern | URLResolver] = [
    *_both("token", calls(public=True, post=views.log_in)),
    *_both("token/refresh", calls(public=True, post=views.refresh)),
    *_both("project", calls(get=views.list_projects, post=views.create_project)),
    *_both(
        "project/<flaas_id:project_id>",
        calls(get=views.get_project, put=views.change_project, delete=views.delete_project),
    ),
    *_both("project/<flaas_id:project_id>/join-round/<str:number>", calls(get=views.join_round)),
    *_both("report-availability", calls(post=views.report_availability)),
]
