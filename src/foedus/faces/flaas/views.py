"""The small calls: tokens, projects, joining a round, reports. Each view makes one service call."""

from collections.abc import Callable, Mapping
from functools import wraps
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.utils import timezone

from foedus.faces.flaas import parsing, rendering
from foedus.faces.flaas.auth import user_of
from foedus.faces.flaas.errors import MethodNotAllowed, answer_to
from foedus.ports import Ports
from foedus.records.accounts.models import User
from foedus.records.fleet.models import FleetProject
from foedus.records.learning.queries import newest_rounds
from foedus.services.fleet import availability, projects, tokens, training
from foedus.services.fleet.access import readable_fleet, visible_fleets
from foedus.services.fleet.accounts import device_of

View = Callable[..., HttpResponse]


class FlaasRequest(HttpRequest):
    """A request as views see it: the server gave it ``ports``, ``calls`` its ``caller``."""

    ports: Ports
    caller: User


def calls(*, public: bool = False, **views: View) -> View:
    """One address: a view for each method, named in lower case. Whatever goes wrong is answered in this dialect."""
    allow = tuple(
        method
        for method in ("GET", "POST", "PUT", "DELETE", "HEAD", "OPTIONS")
        if method.lower() in views or (method == "HEAD" and "get" in views) or method == "OPTIONS"
    )

    @wraps(next(iter(views.values())))
    def answer(request: FlaasRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        try:
            if not public:
                request.caller = user_of(request.ports, request.headers.get("Authorization"), now=timezone.now())
            return _chosen(request, views, allow)(request, *args, **kwargs)
        except Exception as exc:  # noqa: BLE001 - the last line before Django's page
            status, body, headers = answer_to(exc, request.path)
            return _json(body, status, headers)

    answer.csrf_exempt = True  # type: ignore[attr-defined] # Django looks for it there; callers show a token
    return answer


def _chosen(request: FlaasRequest, views: Mapping[str, View], allow: tuple[str, ...]) -> View:
    method = str(request.method).lower()
    view = views.get("get" if method == "head" else method)
    if view is None:
        raise MethodNotAllowed(str(request.method)[:20], allow)
    return view


def log_in(request: FlaasRequest) -> HttpResponse:
    username, password = parsing.texts_in(request, "username", "password")
    client = str(request.META.get("REMOTE_ADDR", ""))
    pair = tokens.log_in(request.ports, username, password, client, now=timezone.now())
    return _json({"refresh": pair.refresh, "access": pair.access})


def refresh(request: FlaasRequest) -> HttpResponse:
    (token,) = parsing.texts_in(request, "refresh")
    pair = tokens.refresh(request.ports, token, now=timezone.now())
    return _json({"access": pair.access, "refresh": pair.refresh})


def list_projects(request: FlaasRequest) -> HttpResponse:
    fleets = list(visible_fleets(request.caller))
    newest = newest_rounds([fleet.project for fleet in fleets])
    return _json([rendering.project_out(fleet, newest.get(fleet.pk)) for fleet in fleets])


def create_project(request: FlaasRequest) -> HttpResponse:
    fleet = projects.create(request.ports, request.caller, parsing.fields_in(request), now=timezone.now())
    return _project(fleet, 201)


def get_project(request: FlaasRequest, project_id: int) -> HttpResponse:
    return _project(readable_fleet(request.caller, project_id))


def change_project(request: FlaasRequest, project_id: int) -> HttpResponse:
    fields = parsing.fields_in(request)
    return _project(projects.change(request.ports, request.caller, project_id, fields, now=timezone.now()))


def delete_project(request: FlaasRequest, project_id: int) -> HttpResponse:
    projects.delete(request.ports, request.caller, project_id, now=timezone.now())
    return _json({})


def join_round(request: FlaasRequest, project_id: int, number: str) -> HttpResponse:
    now = timezone.now()
    status = parsing.status_in(request)
    device = device_of(request.caller, now=now)
    current = training.join_round(device, project_id, parsing.number_in(number), status, now=now)
    return _json(rendering.round_out(current.project.fleet, current))


def report_availability(request: FlaasRequest) -> HttpResponse:
    now = timezone.now()
    said = parsing.report_in(request)
    availability.report(request.ports, device_of(request.caller, now=now), said, now=now)
    return HttpResponse(status=201)


def _project(fleet: FleetProject, status: int = 200) -> HttpResponse:
    newest = newest_rounds([fleet.project]).get(fleet.pk)
    return _json(rendering.project_out(fleet, newest), status)


def _json(body: Any, status: int = 200, headers: dict[str, str] | None = None) -> HttpResponse:
    if body is None:
        return HttpResponse(status=status, headers=headers)
    return HttpResponse(rendering.to_json(body), status=status, content_type="application/json", headers=headers)
