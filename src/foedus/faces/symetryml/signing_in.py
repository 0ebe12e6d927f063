"""People who sign in with their provider's account, and programs that then read by which key to sign: ``smlaccess``.

Nothing here is signed by a customer's key; a session in a cookie takes its place. What is on its way to the provider
is in a cookie of its own, so that no answer is taken by another browser than the one that asked.
"""

import hmac
import secrets
from collections.abc import Awaitable, Callable
from dataclasses import asdict
from functools import wraps
from http import HTTPStatus
from typing import Any
from urllib.parse import urlsplit

from django.contrib.sessions.backends.db import SessionStore
from django.core import signing
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import BaseRoute, Route

from foedus.core.errors import Unavailable
from foedus.faces.symetryml.calls import now, origin_of, response_of, strike
from foedus.faces.symetryml.envelope import Answer
from foedus.faces.symetryml.errors import answer_to
from foedus.ports.identity import Attempt, SignInRefused
from foedus.services.customers.signing_in import UnknownProfile, access_of, sign_in
from foedus.services.shell.threads import in_thread

CALLBACK = "/symetry/sso/callback"
ACCESS = "/symetry/rest/smlaccess"
ATTEMPT_S = 600
SESSION_S = 8 * 3600
_SALT = "foedus symetryml sign-in"
_MAX_NEXT, _MAX_CODE, _MAX_STATE = 1000, 4096, 200


View = Callable[[Request], Response]


def _endpoint(view: View) -> Callable[[Request], Awaitable[Response]]:
    @wraps(view)
    async def handle(request: Request) -> Response:
        try:
            response = await in_thread(view, request)
        except SignInRefused as exc:
            response = await _refused(request, exc)
        except Exception as exc:  # noqa: BLE001 - all of it is answered, and what is not foreseen is logged
            response = _failed(exc, request)
        response.headers["Cache-Control"] = "no-store"
        response.headers["Referrer-Policy"] = "no-referrer"  # a code may stand in the address
        return response

    return handle


def login(request: Request) -> Response:
    """Send the browser to the provider; ``next`` is where it comes back to in the end."""
    attempt = Attempt(*(secrets.token_urlsafe(32) for _ in range(3)))
    address = request.app.state.ports.identities.begin(attempt, _callback(request))
    response = RedirectResponse(address, HTTPStatus.FOUND)
    kept = signing.dumps({**asdict(attempt), "next": _local(request.query_params.get("next", ""))}, salt=_SALT)
    _set_cookie(response, request, "attempt", kept, ATTEMPT_S)
    return response


def callback(request: Request) -> Response:
    """The provider sends the browser back. Raises SignInRefused, UnknownCustomer."""
    attempt, after = _attempt(request)
    query = request.query_params
    if not hmac.compare_digest(query.get("state", "")[:_MAX_STATE].encode(), attempt.state.encode()):
        raise SignInRefused("this answer belongs to another sign-in; begin anew")
    code = query.get("code", "")
    if query.get("error") or not 0 < len(code) <= _MAX_CODE:
        raise SignInRefused(f"the provider refuses: {query.get('error', 'no code')[:80]}; begin anew")
    state = request.app.state
    identity = state.ports.identities.finish(attempt, _callback(request), code)
    if query.get("iss", identity.issuer) != identity.issuer:  # RFC 9207: nobody mixes providers up
        raise SignInRefused("this answer comes from another provider; begin anew")
    found = sign_in(state.ports, identity, state.sign_in.policy, now=now())
    session = SessionStore()
    session["symetryml identity"] = found.pk
    session.set_expiry(SESSION_S)
    session.create()
    response = RedirectResponse(after, HTTPStatus.FOUND)
    _set_cookie(response, request, "attempt", "", 0)
    _set_cookie(response, request, "session", str(session.session_key), SESSION_S)
    return response


def logout(request: Request) -> Response:
    """End the session here, and at the provider if it has a way to."""
    _session(request).flush()
    state = request.app.state
    address = state.ports.identities.end(state.sign_in.after_sign_out) or state.sign_in.after_sign_out
    response = RedirectResponse(address, HTTPStatus.FOUND) if address else response_of(Answer(text="signed out"))
    _set_cookie(response, request, "session", "", 0)
    return response


def access(request: Request) -> Response:
    """The customer's id and key. Raises UnknownProfile, UnknownCustomer."""
    identity = _session(request).get("symetryml identity")
    if not isinstance(identity, int):
        raise UnknownProfile(f"there is no profile for this call: sign in at {_login(request)} first")
    found = access_of(request.app.state.ports, identity, now=now())
    credentials = {"smlusername": found.cid, "smlusersecretkey": found.secret.reveal()}
    return response_of(Answer({"smlCredentials": credentials}))


async def _refused(request: Request, exc: SignInRefused) -> Response:
    try:
        strike(request)
    except Exception as too_often:  # noqa: BLE001 - answered as all that goes wrong
        return _failed(too_often, request)
    response = _failed(exc, request)
    _set_cookie(response, request, "attempt", "", 0)
    return response


def _failed(exc: Exception, request: Request) -> Response:
    """This dialect calls it 500 when the provider fails."""
    answer = answer_to(exc, request.url.path, "")
    if isinstance(exc, Unavailable):
        answer = Answer(answer.values, HTTPStatus.INTERNAL_SERVER_ERROR, answer.text, answer.headers)
    return response_of(answer)


def _attempt(request: Request) -> tuple[Attempt, str]:
    try:
        kept: dict[str, Any] = signing.loads(_cookie(request, "attempt"), salt=_SALT, max_age=ATTEMPT_S)
    except signing.BadSignature:
        raise SignInRefused("no sign-in was begun in this browser, or too long ago; begin anew") from None
    return Attempt(kept["state"], kept["nonce"], kept["verifier"]), kept["next"]


def _session(request: Request) -> SessionStore:
    return SessionStore(_cookie(request, "session") or None)


def _callback(request: Request) -> str:
    return request.app.state.sign_in.callback or origin_of(request) + CALLBACK


def _login(request: Request) -> str:
    return _callback(request).removesuffix("callback") + "login"


def _local(address: str) -> str:
    """Where to go in the end: a path of this server, so that no link leads from here to elsewhere."""
    fine = address.startswith("/") and address[1:2] not in ("/", "\\") and address.isascii() and address.isprintable()
    return address if fine and len(address) <= _MAX_NEXT and " " not in address else ACCESS


def _is_secure(request: Request) -> bool:
    return urlsplit(_callback(request)).scheme == "https"


def _name(request: Request, kind: str) -> str:
    """Under https a prefix that keeps other hosts of the domain from setting it."""
    return f"{'__Host-' if _is_secure(request) else ''}symetryml-{kind}"


def _cookie(request: Request, kind: str) -> str:
    return request.cookies.get(_name(request, kind), "")


def _set_cookie(response: Response, request: Request, kind: str, value: str, seconds: int) -> None:
    response.set_cookie(
        _name(request, kind), value, max_age=seconds, path="/", secure=_is_secure(request), httponly=True,
        samesite="lax",
    )  # fmt: skip


ROUTES: tuple[BaseRoute, ...] = (
    Route("/symetry/sso/login", _endpoint(login), methods=["GET"]),
    Route(CALLBACK, _endpoint(callback), methods=["GET"]),
    Route("/symetry/sso/logout", _endpoint(logout), methods=["GET", "POST"]),
    Route(ACCESS, _endpoint(access), methods=["GET"]),
    Route("/smlaccess", _endpoint(access), methods=["GET"]),
)
