"""The session that a run takes part in: whether it may, and what its door is told. Whoever bought the run names it."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any
from urllib.parse import urlsplit

from foedus.connectors.internet import Guard, HostUnknown, IPAddress
from foedus.ports.compute import Session
from foedus.ports.secrets import Secret

_PORTS = {"http": 80, "https": 443}


def guard_of(allowed: Sequence[str]) -> Guard:
    return Guard.allowing(allowed, setting="FOEDUS_SESSIONS_ALLOW")


def address_of(session: Session) -> tuple[str, int]:
    """Host and port."""
    url = urlsplit(session.url)
    return url.hostname or "", url.port or _PORTS[url.scheme]


def check_session(session: Session | None, allowed: Sequence[str]) -> list[IPAddress]:
    """Refuse at once what the door would refuse; a name that has no address may have one by then."""
    if session is not None:
        with suppress(HostUnknown):
            return guard_of(allowed).checked(*address_of(session))
    return []


def session_file(session: Session | None, allowed: Sequence[str]) -> dict[str, Any]:
    """What the door of a run is told; empty where the run takes part in none."""
    if session is None:
        return {}
    return {"url": session.url, "token": session.token.reveal(), "allow": list(allowed)}


def session_in(told: Mapping[str, Any]) -> tuple[Session, Guard]:
    """What ``session_file`` made."""
    return Session(told["url"], Secret(told["token"])), guard_of(told["allow"])
