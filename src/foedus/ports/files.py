"""Files that documents of a market name: what is sold lies where its provider says, on the web or beside the node."""

from collections.abc import Iterable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import NoReturn, Protocol

from foedus.core.errors import Invalid


class FilesMissing(Invalid):
    """This server fetches no files."""


@dataclass(frozen=True, slots=True)
class Fetched:
    """``chunks`` of the file's bytes, to be read once; ``size`` in bytes where it is known before."""

    name: str
    chunks: Iterable[bytes]
    size: int | None


class Files(Protocol):
    """Safe to use from many threads; memory does not grow with a file."""

    def fetch(self, url: str) -> AbstractContextManager[Fetched]:
        """What lies at an address, ``https:``, ``http:`` or ``file:``, where the operator permits to go.

        Raises what sources raise: SourceMissing, SourceRefuses, SourceUnavailable, Invalid, TooLarge, Forbidden; also
        while chunks are taken.
        """
        ...


class NoFiles:
    def fetch(self, url: str) -> NoReturn:  # noqa: ARG002 - whatever is asked
        raise FilesMissing
