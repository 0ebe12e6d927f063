"""Who is asking: whoever the bearer token was made for, or nobody in particular."""

from datetime import datetime

from django.http import HttpRequest

from foedus.faces.nevermined.limits import MARKET
from foedus.ports import Ports
from foedus.services.market.login import BadLogin, logged_in
from foedus.services.market.parties import ANYBODY
from foedus.services.shell.authorisation import Actor


def actor_of_request(request: HttpRequest, ports: Ports, now: datetime, *, bearer: bool = True) -> Actor:
    """Raises QuotaExceeded for who asks too often, BadLogin for a header that is no good token.

    Whoever shows a token wants to be somebody: a bad one does not make nobody of them. Without ``bearer`` tokens are
    none of ours: they are looked at by whoever is asked.
    """
    MARKET.callers.take(str(request.META.get("REMOTE_ADDR", "")), now.timestamp())
    header = request.headers.get("Authorization", "")
    if not header or not bearer:
        return ANYBODY
    scheme, _, token = header.partition(" ")
    if scheme.lower() != "bearer":
        raise BadLogin("show the token of a login as: Authorization: Bearer TOKEN")
    return logged_in(ports, token.strip(), now=now)
