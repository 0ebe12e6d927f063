"""Federations within one process, for tests and for trying out. No customer reaches them: they are not registered."""

import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from foedus.core.errors import TooLarge
from foedus.ports.exchange import (
    MAX_BYTES,
    Delivery,
    Exchange,
    ExchangeRefuses,
    ExchangeUnavailable,
    FederationTaken,
    Link,
    Member,
    NoSuchExchange,
    Told,
)  # fmt: skip


@dataclass(slots=True)
class _Federation:
    owner: str
    admitted: set[str]
    latest: dict[tuple[str, str], tuple[int, bytes, float]] = field(default_factory=dict)
    published: int = 0


class MemoryExchanges:
    """The one kind ``memory``. It keeps each node's latest message of each kind, and may be switched ``down``."""

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self.down = False
        self._clock = clock
        self._federations: dict[str, _Federation] = {}
        self._changed = threading.Condition()

    def of(self, kind: str) -> Exchange:
        if kind != "memory":
            raise NoSuchExchange(f"this server has no transport {kind[:40]!r} for federations")
        return self

    def inventory(self, kind: str, told: Told) -> Mapping[str, Any]:  # noqa: ARG002 - whoever asks
        raise NoSuchExchange(f"a transport {kind[:40]!r} has no accounts")

    def open(self, first: Member) -> Told:
        with self._changed:
            self._check()
            made = self._federations.setdefault(first.federation, _Federation(first.node, {first.node}))
            if made.owner != first.node:
                raise FederationTaken
        return {"memory": "yes"}

    def join(self, member: Member) -> Told:
        self._of(member)
        return {"memory_node": member.node}

    def admit(self, first: Member, node: str, applicant: Told) -> None:
        if applicant.get("memory_node") != node:
            raise ExchangeRefuses
        self._of(first).admitted.add(node)

    def expel(self, first: Member, node: str, applicant: Told) -> None:  # noqa: ARG002 - nothing was noted
        self._of(first).admitted.discard(node)

    @contextmanager
    def attach(self, member: Member, after: str) -> Iterator[Link]:
        made = self._of(member)
        if member.node not in made.admitted:
            raise ExchangeRefuses
        yield _Link(self, made, member, int(after or 0))

    def leave(self, member: Member) -> None:
        self._of(member).admitted.discard(member.node)

    def close(self, first: Member) -> None:
        with self._changed:
            self._check()
            self._federations.pop(first.federation, None)

    def publish(self, member: Member, kind: str, data: bytes) -> None:
        if len(data) > MAX_BYTES:
            raise TooLarge(f"a message of a federation has at most {MAX_BYTES} bytes")
        with self._changed:
            made = self._of(member)
            made.published += 1
            made.latest[member.node, kind] = made.published, bytes(data), self._clock()
            self._changed.notify_all()

    def take(self, made: _Federation, member: Member, after: int, timeout_s: float) -> list[Delivery]:
        with self._changed:
            self._changed.wait_for(lambda: self.down or _newer(made, member, after), timeout_s)
            self._check()
            return _newer(made, member, after)

    def _of(self, member: Member) -> _Federation:
        self._check()
        try:
            return self._federations[member.federation]
        except KeyError:
            raise ExchangeRefuses from None

    def _check(self) -> None:
        if self.down:
            raise ExchangeUnavailable


def _newer(made: _Federation, member: Member, after: int) -> list[Delivery]:
    found = sorted(
        (n, Delivery(sender, kind, data, str(n), at))
        for (sender, kind), (n, data, at) in made.latest.items()
        if n > after and sender != member.node
    )
    return [delivery for _, delivery in found]


class _Link:
    def __init__(self, exchanges: MemoryExchanges, made: _Federation, member: Member, after: int) -> None:
        self._exchanges, self._made, self._member = exchanges, made, member
        self._after = after if after <= made.published else 0

    def publish(self, kind: str, data: bytes) -> None:
        self._exchanges.publish(self._member, kind, data)

    def take(self, *, timeout_s: float) -> Sequence[Delivery]:
        found = self._exchanges.take(self._made, self._member, self._after, timeout_s)
        self._after = max((int(each.position) for each in found), default=self._after)
        return found

    def done(self, deliveries: Sequence[Delivery]) -> None:
        """Where to go on is all in the position."""
