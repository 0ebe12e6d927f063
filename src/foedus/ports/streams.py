"""Streams of messages that a statistics project follows, such as a subject of NATS JetStream."""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Protocol

from foedus.core.symetryml.rows import Rows
from foedus.ports.sources import Info, Listing, NoSuchKind

BEGINNING = ""
Decoder = Callable[[bytes], Rows]


@dataclass(frozen=True, slots=True)
class Message:
    """``position`` is where to go on once this message was taken in; only its kind of stream reads it."""

    position: str
    data: bytes


class Follower(Protocol):
    """A stream being read, by one thread."""

    def take(self, *, timeout_s: float) -> Sequence[Message]:
        """The next messages, in order and none left out; none after ``timeout_s`` without any.

        Raises SourceUnavailable; then a new follower goes on from the last position that was kept.
        """
        ...


class Stream(Protocol):
    """One kind of stream. ``info`` is what a customer tells: hostile, and no error repeats the passwords in it."""

    def latest(self, info: Info) -> str:
        """The position behind all that is in the stream by now. Raises SourceUnavailable, SourceRefuses, Forbidden."""
        ...

    def follow(self, info: Info, after: str) -> AbstractContextManager[Follower]:
        """Read on from a position; ``BEGINNING`` is before the first message. Raises as ``latest`` does."""
        ...

    def browse(self, info: Info) -> Listing:
        """What there is to follow. Raises as ``latest`` does."""
        ...


class Streams(Protocol):
    """All kinds of streams that this server has, and what reads their messages."""

    def of(self, kind: str) -> Stream:
        """Raises NoSuchKind; Invalid naming the extra when its driver is missing."""
        ...

    def decoder(self, info: Info) -> Decoder:
        """Turns a message into rows, or raises Invalid. Raises Invalid for a format that is not known."""
        ...


class NoStreams:
    """A server without streams."""

    def of(self, kind: str) -> Stream:
        raise NoSuchKind(f"this server has no streams of type {kind[:40]!r}")

    def decoder(self, info: Info) -> Decoder:  # noqa: ARG002 - whatever is told
        raise NoSuchKind("this server has no streams")
