"""Who is asking: the access token of a login."""

from datetime import datetime

from foedus.core.errors import Unauthenticated
from foedus.faces.flaas.errors import BadHeader
from foedus.ports import Ports
from foedus.records.accounts.models import User
from foedus.services.fleet.tokens import authenticate_access

_PARTS = 2


def user_of(ports: Ports, header: str | None, *, now: datetime) -> User:
    """The user behind an ``Authorization`` header. Another scheme than Bearer counts as no header."""
    parts = (header or "").split()
    if not parts or parts[0] != "Bearer":
        raise Unauthenticated("Authentication credentials were not provided.")
    if len(parts) != _PARTS:
        raise BadHeader
    return authenticate_access(ports, parts[1], now=now)
