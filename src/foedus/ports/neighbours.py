"""Other servers like this one, at addresses that strangers tell: one question, one short answer."""

from typing import Protocol

from foedus.core.errors import Invalid, Unavailable

MAX_ANSWER_BYTES = 1 << 20


class NeighbourUnavailable(Unavailable):
    """The other server does not answer."""


class NeighbourRefuses(Invalid):
    """The other server refuses."""


class Neighbours(Protocol):
    """Safe to use from many threads."""

    def post(self, url: str, body: bytes) -> bytes:
        """What the server at ``url`` answers. Raises NeighbourUnavailable; NeighbourRefuses with its reason; Forbidden
        for addresses that this server may not reach; Invalid for what is no address.
        """
        ...


class NoNeighbours:
    """A server that reaches no other."""

    def post(self, url: str, body: bytes) -> bytes:  # noqa: ARG002 - wherever it leads
        raise NeighbourUnavailable("this server reaches no others")
