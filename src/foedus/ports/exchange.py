"""What carries the messages of a federation from node to node, such as a stream of NATS or a topic of AWS.

A transport is trusted with nothing: it may lose, repeat, reorder, delay and invent messages. What it carries is sealed
and signed by whoever sends it, and means the same however often it comes.
"""

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Protocol

from foedus.core.errors import Conflict, Invalid, Unavailable

BEGINNING = ""
MAX_BYTES = 2 << 30  # of one message
Told = Mapping[str, str]


class ExchangeUnavailable(Unavailable):
    """The federation's transport does not answer."""


class ExchangeRefuses(Invalid):
    """The federation's transport refuses: the credentials, the name or the address are wrong."""


class FederationTaken(Conflict):
    """There is a federation of that name on this transport already."""


class NoSuchExchange(Invalid):
    """This server has no transport of that kind for federations."""


@dataclass(frozen=True, slots=True)
class Member:
    """One node of a federation. ``told`` is what its customer, or an invitation, tells of the transport: addresses and
    credentials, which are hostile, and which no error repeats. ``node`` is 32 lower-case hexadecimal digits;
    ``federation`` has 1 to 60 letters, digits, ``-`` and ``_``.
    """

    federation: str
    node: str
    told: Told


@dataclass(frozen=True, slots=True)
class Delivery:
    """A message as the transport says it came. ``position`` is where to go on once it was taken in; ``at`` is when the
    transport took the message from its sender, in seconds since 1970.
    """

    sender: str
    kind: str
    data: bytes
    position: str
    at: float


class Link(Protocol):
    """A node's open connection, used by one thread."""

    def publish(self, kind: str, data: bytes) -> None:
        """Have every other node get ``data`` as this node's latest message of its kind. Once it returns, losing it
        takes a fault of the transport. Raises ExchangeUnavailable, ExchangeRefuses; TooLarge above MAX_BYTES.
        """
        ...

    def take(self, *, timeout_s: float) -> Sequence[Delivery]:
        """The next messages; none after ``timeout_s`` without any. Of one sender and kind only the latest has to come:
        those that it replaced may be left out. A node's own messages may come too. Raises ExchangeUnavailable; then
        a new link goes on from the last position that was kept.
        """
        ...

    def done(self, deliveries: Sequence[Delivery]) -> None:
        """These were taken in for good. Messages that nobody is done with come again, on this link or the next."""
        ...


class Exchange(Protocol):
    """One kind of transport. All but ``attach`` may be called again after a crash and then complete what was begun.
    Every method raises ExchangeUnavailable, ExchangeRefuses, and Invalid for what is missing in ``told``; Forbidden for
    addresses that this server may not reach.
    """

    def open(self, first: Member) -> Told:
        """Make what a new federation needs, and what its first node needs. Returns what an invitation tells others, to
        be part of their ``told``. Raises FederationTaken when another node opened one of that name.
        """
        ...

    def join(self, member: Member) -> Told:
        """Make what this node alone needs, before it was admitted. Returns what the federation's first node has to
        know to admit it; empty when that is nothing.
        """
        ...

    def admit(self, first: Member, node: str, applicant: Told) -> None:
        """Let a node publish and receive; ``applicant`` is what its ``join`` returned, and hostile."""
        ...

    def expel(self, first: Member, node: str, applicant: Told) -> None:
        """Take back what ``admit`` gave."""
        ...

    def attach(self, member: Member, after: str) -> AbstractContextManager[Link]:
        """Connect. The link first gives each other node's latest message of each kind that came behind ``after``, then
        what comes; ``BEGINNING`` gives them all. A position that the transport no longer knows counts as that.
        """
        ...

    def leave(self, member: Member) -> None:
        """Remove what this node alone needed. What it published last stays for others as long as the transport can."""
        ...

    def close(self, first: Member) -> None:
        """Remove everything that ``open`` made; nothing of the federation is left behind."""
        ...


class Exchanges(Protocol):
    """All kinds of transports that this server has."""

    def of(self, kind: str) -> Exchange:
        """Raises NoSuchExchange; Invalid naming the extra when its driver is missing."""
        ...

    def inventory(self, kind: str, told: Told) -> Mapping[str, Any]:
        """What an account holds at a transport of that kind (``topics``, ``queues``), as JSON values.

        Raises what an Exchange raises; NoSuchExchange where a transport has no accounts.
        """
        ...


class NoExchanges:
    """A server that is part of no federation."""

    def of(self, kind: str) -> Exchange:
        raise NoSuchExchange(f"this server has no transport {kind[:40]!r} for federations")

    def inventory(self, kind: str, told: Told) -> Mapping[str, Any]:  # noqa: ARG002 - whatever is told
        raise NoSuchExchange(f"this server has no transport {kind[:40]!r} for federations")
