"""What nodes of a federation tell each other. Of each sender and kind the latest message says it all."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from foedus.core.errors import Invalid

CLOCK_WINDOW_S = 300.0
MAX_SEQ = (1 << 53) - 1
MAX_JUMP = 1_000_000  # from one message of a sender to its next


class Kind(StrEnum):
    JOIN = "join"  # a node that is new, or asks to be let in
    HEARTBEAT = "heartbeat"
    SYNC = "sync"  # all of a node's statistics
    DELTA = "delta"  # what changed of them since its latest sync, for who holds that
    SYNC_REQUEST = "sync_request"  # send what you have
    SCHEDULE = "schedule"  # the admin's
    CONTRACT = "contract"  # the admin's
    LEAVE = "leave"  # a node's own; the admin's names all that were removed
    EXPLORE = "explore"  # whether a node lets others explore its statistics
    ROTATE = "rotate"  # the admin's: a new key, for each node that stays
    SUM = "sum"  # the admin's: how far a secure sum is, and who is in
    OUTLINE = "outline"  # what a node's statistics are about; then its messages of a secure sum
    ADVERT = "advert"
    SHARES = "shares"
    MASKED = "masked"
    CONFIRM = "confirm"
    REVEAL = "reveal"


ADMIN_ONLY = frozenset({Kind.SCHEDULE, Kind.CONTRACT, Kind.ROTATE, Kind.SUM})
OF_SUMS = frozenset({Kind.SUM, Kind.OUTLINE, Kind.ADVERT, Kind.SHARES, Kind.MASKED, Kind.CONFIRM, Kind.REVEAL})


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """A message whose seal, signature and certificate were found right. ``at``: when its sender says it sent it;
    ``carried_at``: when the transport says so. Both in seconds since 1970.
    """

    kind: Kind
    sender: str
    seq: int
    at: float
    carried_at: float
    body: Mapping[str, Any] = field(default_factory=dict)
    content: bytes = b""


def check_sound(message: Message, now: float) -> None:
    """Raise Invalid for numbers and times that no honest node sends."""
    if not 0 < message.seq <= MAX_SEQ:
        raise Invalid(f"the sequence number {message.seq} is none")
    if abs(message.at - message.carried_at) > CLOCK_WINDOW_S:
        off = message.at - message.carried_at
        raise Invalid(
            f"it was sent at a time that is {abs(off):.0f} s {'after' if off > 0 else 'before'} that of the transport; "
            "synchronise the sender's clock"
        )
    if message.at > now + CLOCK_WINDOW_S:
        raise Invalid(f"it comes from {message.at - now:.0f} s in the future; synchronise the clocks")


def whole(body: Mapping[str, Any], name: str) -> int:
    """A count in a message's body. Raises Invalid."""
    value = body.get(name, 0)
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= MAX_SEQ:
        raise Invalid(f"{name} is no count")
    return value


def text(body: Mapping[str, Any], name: str, limit: int = 200) -> str:
    """A text in a message's body. Raises Invalid."""
    value = body.get(name, "")
    if not isinstance(value, str) or len(value) > limit or not (value.isprintable() or not value):
        raise Invalid(f"{name} is no text of at most {limit} printable characters")
    return value


def texts(body: Mapping[str, Any], name: str, most: int, limit: int) -> tuple[str, ...]:
    """A list of texts in a message's body. Raises Invalid."""
    value = body.get(name, [])
    if not isinstance(value, list) or len(value) > most:
        raise Invalid(f"{name} is no list of at most {most} texts")
    if not all(isinstance(each, str) and len(each) <= limit for each in value):
        raise Invalid(f"{name} has a text that is none, or longer than {limit} characters")
    return tuple(value)
