"""Messages that leave for devices and outside services."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Protocol

from foedus.core.errors import Invalid, Unavailable


class PushUnavailable(Unavailable):
    """The push service did not take the message."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PushMessage:
    """One message to many.

    ``id``          the same for every attempt, so that receivers can tell repetitions
    ``recipients``  the names the receiving service knows them by
    ``kind``        for example ``train``
    ``data``        JSON object for a program (flat for phones); ``title`` and ``text`` for a person, empty when silent
    ``ttl_s``       seconds after which it need not be delivered any more
    ``options``     JSON object of what only some services can do; a connector says which it knows
    """

    id: str
    kind: str
    recipients: Sequence[str]
    data: Mapping[str, Any] = field(default_factory=dict)
    title: str = ""
    text: str = ""
    ttl_s: int = 3600
    options: Mapping[str, Any] = field(default_factory=dict)


def to_json(message: PushMessage) -> bytes:
    """The message as one line of JSON, ``options`` only if there are any. Raises Invalid where it is not JSON."""
    fields = asdict(message) | {"recipients": list(message.recipients), "data": dict(message.data)}
    fields.pop("options")
    if message.options:
        fields["options"] = dict(message.options)
    try:
        return json.dumps(fields, allow_nan=False, ensure_ascii=False, separators=(",", ":")).encode()
    except (TypeError, ValueError) as exc:
        raise Invalid("The data of a push message has to be JSON.", message_id=message.id) from exc


class Push(Protocol):
    """Delivery to an outside service. Returning means it was taken over; anything else raises PushUnavailable."""

    def send(self, message: PushMessage) -> None: ...

    def close(self) -> None: ...
