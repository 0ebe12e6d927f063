"""WebSockets: one text message a call, ``<n>,<headerJSON><payload>``, answered by the envelope that REST gives."""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, TypeGuard

from starlette.websockets import WebSocket, WebSocketDisconnect

from foedus.core.codecs import strict_json
from foedus.core.errors import Invalid, Unauthenticated
from foedus.core.symetryml.signing import SocketMessage
from foedus.faces.symetryml.calls import PREFIX, Call, now
from foedus.faces.symetryml.envelope import Answer
from foedus.faces.symetryml.errors import BodyTooLarge, answer_to
from foedus.faces.symetryml.limits import LIMITS
from foedus.faces.symetryml.views import learning, models
from foedus.ports import Ports
from foedus.services.customers.requests import Caller, Proof, authenticate, check_headers, known_customer, take_once
from foedus.services.shell.threads import in_thread

IDLE_S = 600.0  # between two messages
MAX_HEADER = 8192
_WEB_SCHEMES = {"ws": "http", "wss": "https"}
# What is called, the names of its extra keys, and whether it changes anything.
_CALLS: Mapping[str, tuple[Callable[[Call], Answer], tuple[str, ...], bool]] = {
    "learn": (learning.learn, ("pid",), True),
    "forget": (learning.forget, ("pid",), True),
    "predict": (models.predict, ("pid", "model"), False),
}


@dataclass(frozen=True, slots=True)
class Header:
    """What a message says in front of its payload."""

    proof: Proof
    cid: str
    extra: tuple[str, ...]


@dataclass(slots=True)
class Session:
    """What the messages before have shown: later ones may leave their header out."""

    caller: Caller | None = None
    extra: tuple[str, ...] = ()
    cid: str = ""


async def talk(socket: WebSocket) -> None:
    """Answer message after message until the client leaves, or is silent for too long."""
    await socket.accept()
    session = Session()
    try:
        while True:
            async with asyncio.timeout(IDLE_S):
                text = await socket.receive_text()
            answer = await _answered(socket, session, text)
            await socket.send_text(answer.rendered().decode())
            if answer.status is HTTPStatus.REQUEST_ENTITY_TOO_LARGE:
                break
    except (WebSocketDisconnect, KeyError):  # the latter for bytes instead of text
        return
    except TimeoutError:
        pass
    await socket.close(1000)


async def _answered(socket: WebSocket, session: Session, text: str) -> Answer:
    try:
        _check_size(text, socket.app.state.max_frame_bytes)
        with LIMITS.holding() as held:
            held.add(len(text))
            return await in_thread(_viewed, socket, session, text)
    except Exception as exc:  # noqa: BLE001 - all of it is answered, and what is not foreseen is logged
        return answer_to(exc, socket.url.path, session.cid)


def _check_size(text: str, limit_bytes: int) -> None:
    if len(text) > limit_bytes:
        raise BodyTooLarge(f"a message has at most {limit_bytes} bytes here", limit_bytes=limit_bytes)


def _viewed(socket: WebSocket, session: Session, text: str) -> Answer:
    name = socket.path_params["call"]
    if name not in _CALLS:
        raise Invalid(f"there is no call {name[:40]!r} here; there are {', '.join(_CALLS)}")
    view, keys, changes = _CALLS[name]
    header, payload = _split(text)
    moment = now()
    body = payload.encode()
    if header is not None:
        _let_in(socket, session, header, body, changes=changes)
    elif session.caller is None:
        raise Unauthenticated("the first message of a connection begins with its header: <n>,<headerJSON><payload>")
    caller = session.caller
    assert caller is not None, "whoever is not let in has been refused"  # noqa: S101
    if len(session.extra) != len(keys):
        raise Invalid(f"extraKeys of this call are {', '.join(keys)}")
    LIMITS.customers.take(caller.customer.cid, moment.timestamp())
    ports: Ports = socket.app.state.ports
    host = socket.headers.get("host", "")
    base = f"{_WEB_SCHEMES.get(socket.url.scheme, 'http')}://{host}{PREFIX}{caller.customer.cid}"
    return view(Call(ports, caller, dict(zip(keys, session.extra, strict=True)), {}, body, base, "websocket", moment))


def _let_in(socket: WebSocket, session: Session, header: Header, body: bytes, *, changes: bool) -> None:
    """Raises what a request's checks raise."""
    moment = now()
    session.caller, session.cid = None, header.cid
    check_headers(header.proof, moment)
    try:
        customer = known_customer(header.cid, header.proof)
        message = SocketMessage(
            date=header.proof.date or "", customer=header.cid, payload=body, urls=_urls(socket), extra=header.extra
        )
        caller = authenticate(socket.app.state.ports, customer, message, header.proof, now=moment)
    except Unauthenticated:
        LIMITS.strangers.take(socket.client.host if socket.client else "", moment.timestamp())
        raise
    if changes:
        take_once(customer, header.proof, now=moment)
    session.caller, session.extra = caller, header.extra


def _urls(socket: WebSocket) -> tuple[str, ...]:
    """The forms of this address that clients sign: whole, as their host header has it, and its path alone."""
    host, path = socket.headers.get("host", ""), socket.url.path
    return (f"ws://{host}{path}", f"wss://{host}{path}", path)


def _split(text: str) -> tuple[Header | None, str]:
    """The header, if there is one, and what follows it. Raises Invalid."""
    digits, comma, rest = text.partition(",") if text[:1].isdigit() else ("", "", "")
    if not comma:
        return None, text
    if not (digits.isascii() and digits.isdecimal() and len(digits) < 6 and 2 <= int(digits) <= MAX_HEADER):
        raise Invalid("a message is <n>,<headerJSON><payload>, n the length of the header in characters")
    size = int(digits)
    return _header(rest[:size]), rest[size:]


def _header(text: str) -> Header:
    value: Any = strict_json.parse(text.encode(errors="replace"), max_depth=4)
    headers = value.get("headers") if isinstance(value, dict) else None
    extra = value.get("extraKeys", []) if isinstance(value, dict) else None
    if not (_are_texts(headers) and len(headers) == 4 and _are_texts(extra)):
        raise Invalid('the header of a message is {"headers":[date, md5, signature, customer],"extraKeys":[...]}')
    date, md5, signature, cid = headers
    return Header(Proof(signature=signature, date=date, md5=md5), cid, tuple(extra))


def _are_texts(value: Any) -> TypeGuard[list[str]]:
    return isinstance(value, list) and all(isinstance(each, str) for each in value)
