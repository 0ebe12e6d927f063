"""Data sources: where rows lie that a statistics project learns from, such as files on a web server."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

from foedus.core.errors import Invalid, NotFound, Unavailable
from foedus.core.symetryml.rows import Rows

Info = Mapping[str, str]


class SourceMissing(NotFound):
    """The source holds nothing of that name."""


class SourceUnavailable(Unavailable):
    """The source does not answer."""


class SourceRefuses(Invalid):
    """The source refuses: the credentials, the name or the address are wrong."""


class NoSuchKind(Invalid):
    """This server has no data sources of that type."""


@dataclass(frozen=True, slots=True)
class Reading:
    """Rows, batch by batch. ``progress``: how many bytes were taken, of how many if that is known."""

    rows: Iterator[Rows]
    progress: Callable[[], tuple[int, int | None]] = field(default=lambda: (0, None))


@dataclass(frozen=True, slots=True)
class Listing:
    """What lies below ``path``: at most a thousand names. ``marker``: where to go on when there are more."""

    path: str
    files: tuple[str, ...] = ()
    dirs: tuple[str, ...] = ()
    marker: str = ""


class Source(Protocol):
    """One kind of source. ``info`` is what a customer tells of a place: hostile, and it may hold passwords, which no
    error repeats. Safe to use from many threads; memory does not grow with the source.
    """

    def read(self, info: Info) -> AbstractContextManager[Reading]:
        """The rows of the place. Raises SourceMissing, SourceRefuses, SourceUnavailable, Invalid, TooLarge, Forbidden;
        also while rows are taken. The same place gives the same rows again as long as nobody changes it.
        """
        ...

    def browse(self, info: Info) -> Listing:
        """What there is to read below ``info["path"]``, in order. Raises as ``read`` does."""
        ...


@runtime_checkable
class Store(Source, Protocol):
    """A kind of source that can be written to as well."""

    def write(self, info: Info, chunks: Iterable[bytes], *, again: bool = False) -> None:
        """A file of these bytes at the place: whole, or not at all when ``chunks`` raise. Raises SourceRefuses,
        SourceUnavailable, Invalid, TooLarge, Forbidden. ``again``: whoever writes may have done so before and not known
        it, so that an equal file there is this one.
        """
        ...


class Sources(Protocol):
    """All kinds of sources that this server has."""

    def of(self, kind: str) -> Source:
        """Raises NoSuchKind; Invalid naming the extra when its driver is missing."""
        ...


class NoSources:
    """A server without sources."""

    def of(self, kind: str) -> Source:
        raise NoSuchKind(f"this server has no data sources of type {kind[:40]!r}")
