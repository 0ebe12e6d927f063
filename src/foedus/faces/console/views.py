"""From a request to a page: who looks, what may be seen, and the headers that keep a page from being abused."""

from collections.abc import Callable
from http import HTTPStatus
from typing import Any, cast

from django.contrib.auth.views import redirect_to_login
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.template.loader import render_to_string
from django.utils import timezone

from foedus.core import errors
from foedus.core.errors import PlatformError
from foedus.faces.console.options import OPTIONS
from foedus.faces.console.registry import sections
from foedus.faces.console.structure import Context, Look, Section, View
from foedus.records.accounts.models import User
from foedus.services.accounts.credentials import actor_of_user

LOGIN = "/admin/login/"
CSP = (
    "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; img-src 'self'; form-action 'self'; "
    "base-uri 'none'; frame-ancestors 'none'"
)
HEADERS = {"Content-Security-Policy": CSP, "Cache-Control": "no-store", "Referrer-Policy": "same-origin"}
_STATUS: dict[type[PlatformError], HTTPStatus] = {
    errors.NotFound: HTTPStatus.NOT_FOUND,
    errors.Forbidden: HTTPStatus.FORBIDDEN,
    errors.Unauthenticated: HTTPStatus.FORBIDDEN,
    errors.Invalid: HTTPStatus.BAD_REQUEST,
    errors.Unavailable: HTTPStatus.SERVICE_UNAVAILABLE,
    PlatformError: HTTPStatus.CONFLICT,
}


class NoOperator(errors.Forbidden):
    """Your account may not use the console: an administrator can make it one of the staff"""


def page(section: Section, view: View) -> Callable[..., HttpResponseBase]:
    """The view of a page as Django calls it."""

    def answer(request: HttpRequest, **named: Any) -> HttpResponseBase:
        if not request.user.is_authenticated:
            return redirect_to_login(request.get_full_path(), LOGIN)
        status, content = HTTPStatus.OK, ""
        if request.method not in ("GET", "HEAD"):
            status, content = HTTPStatus.METHOD_NOT_ALLOWED, failed("Pages are looked at, and not sent anything.")
        else:
            try:
                content = shown(view, look_of(request), **named)
            except PlatformError as exc:
                status = next(_STATUS[kind] for kind in type(exc).__mro__ if kind in _STATUS)
                content = failed(exc.message)
        text = render_to_string("console/base.html", {
            "section": section, "sections": sections(OPTIONS.faces), "content": content, "user": request.user,
            "live": status == HTTPStatus.OK and view.follows, "path": request.get_full_path(),
        }, request)  # fmt: skip
        return HttpResponse(text, status=status, headers=HEADERS)

    answer.view = view  # type: ignore[attr-defined]  # what follows the page live looks for it here
    return answer


def shown(view: View, look: Look, **named: Any) -> str:
    """What is in the page. Raises what services raise."""
    return render(view, view.read(look, **named))


def render(view: View, context: Context) -> str:
    return render_to_string(f"console/{view.template}", dict(context))


def failed(text: str) -> str:
    return render_to_string("console/failed.html", {"text": text})


def look_of(request: Any) -> Look:
    """Raises NoOperator."""
    user = cast(User, request.user)
    if not (user.is_active and (user.is_staff or user.is_superuser)):
        raise NoOperator
    return Look(request.ports, actor_of_user(user), request.GET.dict(), timezone.now())
