"""Streams in memory, for tests and for trying out. No customer reaches them: they are not registered."""

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from foedus.core.symetryml.messages import json_message
from foedus.ports.sources import Info, Listing, NoSuchKind
from foedus.ports.streams import Decoder, Follower, Message, Stream


class MemoryStreams:
    """The one kind ``memory``: lists of messages by ``subject``. ``at_once`` of them are taken at a time."""

    def __init__(self, at_once: int = 100) -> None:
        self.subjects: dict[str, list[bytes]] = defaultdict(list)
        self.before_taking: Callable[[], None] = lambda: None  # a test's way to interfere
        self._at_once = at_once

    def of(self, kind: str) -> Stream:
        if kind != "memory":
            raise NoSuchKind(f"this server has no streams of type {kind[:40]!r}")
        return self

    def decoder(self, info: Info) -> Decoder:  # noqa: ARG002 - there is one format
        return json_message

    def latest(self, info: Info) -> str:
        return str(len(self.subjects[info["subject"]]))

    @contextmanager
    def follow(self, info: Info, after: str) -> Iterator[Follower]:
        yield _Follower(self, info["subject"], int(after or 0), self._at_once)

    def browse(self, info: Info) -> Listing:  # noqa: ARG002 - all there is
        return Listing("", files=tuple(sorted(self.subjects)))


class _Follower:
    def __init__(self, streams: MemoryStreams, subject: str, taken: int, at_once: int) -> None:
        self._streams, self._subject, self._taken, self._at_once = streams, subject, taken, at_once

    def take(self, *, timeout_s: float) -> Sequence[Message]:  # noqa: ARG002 - nothing comes while it waits
        self._streams.before_taking()
        found = self._streams.subjects[self._subject][self._taken : self._taken + self._at_once]
        first = self._taken + 1
        self._taken += len(found)
        return [Message(str(place), data) for place, data in enumerate(found, first)]
