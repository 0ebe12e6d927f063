"""Joining a federation: made here, then let in by the admin, whose server is asked if it can be reached."""

from datetime import datetime

from foedus.core.codecs import strict_json
from foedus.core.errors import Forbidden, Invalid, PlatformError, Unavailable
from foedus.ports import Ports
from foedus.services.federation import founding, inviting
from foedus.services.federation.founding import Founding
from foedus.services.federation.membership import Seat


def create_join(ports: Ports, asked: Founding, *, now: datetime) -> Seat:
    """A project that joins. Where the admin's server cannot be reached, the admin is asked by message, and answers once
    both pulse. Raises as ``founding.join`` does; BadToken and whatever else the admin refuses; then nothing is left.
    """
    seat = founding.join(ports, asked, now=now)
    try:
        url = asked.given.get("fed_rest_url", "")
        if not url or not _let_in(ports, seat, url, now):
            founding.ask_by_message(ports, seat.row.pk, now=now)
    except PlatformError:
        founding.undo(seat)
        raise
    return seat


def _let_in(ports: Ports, seat: Seat, url: str, now: datetime) -> bool:
    """Whether the admin's server could be asked."""
    try:
        answered = ports.neighbours.post(url, inviting.application(seat))
    except (Unavailable, Forbidden):
        return False
    value = strict_json.parse(answered, max_depth=5)
    values = value.get("values") if isinstance(value, dict) else None
    text = values.get("string") if isinstance(values, dict) else None
    if not isinstance(text, str):
        raise Invalid("the server at fed_rest_url answers something else than a federation's admin does")
    inviting.accept(ports, seat.row.pk, text.encode(), now=now)
    return True
