"""Wake-ups between processes. Losing one costs time, never correctness: whoever wakes reads the state again."""

from dataclasses import dataclass
from typing import Protocol

from foedus.core.errors import Invalid, TooLarge, Unavailable

MAX_DATA_BYTES = 4096
MAX_SUBJECT_CHARACTERS = 200


class BusUnavailable(Unavailable):
    """The message bus does not answer."""


class BadSubject(Invalid):
    """A subject is words of letters, digits, '-' and '_' joined by dots, at most 200 characters."""


@dataclass(frozen=True, slots=True)
class Message:
    subject: str
    data: bytes


def check_subject(subject: str) -> str:
    """``subject``, if it is one; raises BadSubject."""
    words = subject.split(".")
    if len(subject) > MAX_SUBJECT_CHARACTERS or not all(
        w and w.isascii() and w.replace("-", "").replace("_", "").isalnum() for w in words
    ):
        raise BadSubject(subject=subject[:80])
    return subject


def check_message(subject: str, data: bytes) -> Message:
    """The message, if it may be published; raises BadSubject, or TooLarge above MAX_DATA_BYTES."""
    if len(data) > MAX_DATA_BYTES:
        raise TooLarge("A wake-up carries a few words; put the content where whoever wakes can read it.", n=len(data))
    return Message(check_subject(subject), bytes(data))


class Subscription(Protocol):
    """Messages that were published after ``subscribe`` returned, in order of each publisher."""

    def next(self, timeout_s: float | None) -> Message | None:
        """The next message; None when ``timeout_s`` seconds brought none, or the subscription was closed."""
        ...

    def close(self) -> None:
        """Stop; a thread blocked in ``next`` returns None. Closing twice does nothing."""
        ...


class Bus(Protocol):
    """Publish and subscribe with subjects such as ``project.7.event``. Safe to use from many threads.

    A subscription to ``project.7`` gets ``project.7`` and all below it (``project.7.event``), not ``project.70``.
    A subscriber that does not keep up loses the oldest messages beyond 10,000, never the newest.
    """

    def publish(self, subject: str, data: bytes = b"") -> None:
        """Tell every present subscriber, in this and other processes. Raises BusUnavailable, BadSubject, TooLarge."""
        ...

    def subscribe(self, subject: str) -> Subscription: ...

    def close(self) -> None:
        """Close every subscription and give back connections."""
        ...
