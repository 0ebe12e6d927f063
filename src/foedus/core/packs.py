"""What is read at once: a piece of one large tensor, or many small tensors of one dtype together.

NumPy takes as long to begin as to add a thousand numbers, and a file as long to open as to read ten thousand.
A model of hundreds of small tensors is therefore taken in packs, as if it were a few large ones; only the result is
told apart again.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import NamedTuple, Protocol, TypeGuard

import numpy as np

from foedus.core.arrays import Layout, Tensor, TensorSource, TensorSpec
from foedus.core.errors import Invalid


class Piece(NamedTuple):
    """Elements ``start`` to ``stop`` of a tensor, flattened in C order."""

    spec: TensorSpec
    start: int
    stop: int


@dataclass(frozen=True, slots=True)
class Pack:
    """Pieces of one dtype, at least one, none of them empty; ``size`` counts their elements."""

    pieces: tuple[Piece, ...]
    size: int

    @property
    def spec(self) -> TensorSpec:
        """The first tensor of the pack, which has the dtype of all."""
        return self.pieces[0].spec

    def places(self) -> Iterator[tuple[Piece, slice]]:
        """Each piece, and where among the elements of the pack it lies."""
        at = 0
        for piece in self.pieces:
            end = at + piece.stop - piece.start
            yield piece, slice(at, end)
            at = end


class Gatherer(Protocol):
    """A source that reads many pieces faster at once than one by one."""

    def gather(self, pieces: Sequence[Piece], memory: Tensor) -> Tensor:
        """The values of pieces of one dtype, one after another: in ``memory`` (bytes, enough of them) or in place.

        Read-only for the caller, and valid until ``memory`` is used again.
        """
        ...


class Placed(Protocol):
    """A source whose values lie in memory or in a file as they are: little-endian, each tensor without gaps."""

    def places(self, pieces: Sequence[Piece]) -> list[int]:
        """Where the first byte of each piece is: in the file, if there is one, or else in memory."""
        ...

    def opened(self) -> AbstractContextManager[int]:
        """A descriptor of the file for as long as it is read, -1 where values are in memory."""
        ...


Reader = Callable[[Pack, Tensor], Sequence[Tensor]]


# Python takes 20 microseconds to find out by ``isinstance`` whether an object is as a Protocol says, which is a quarter
# of what looking at a small update takes. These look for the attributes alone.


def is_gatherer(source: TensorSource) -> TypeGuard[Gatherer]:
    return hasattr(source, "gather")


def is_placed(source: TensorSource) -> TypeGuard[Placed]:
    return hasattr(source, "places") and hasattr(source, "opened")


def packs(layout: Layout, elements: int, *, float32: int | None = None) -> Iterator[Pack]:
    """Everything once, in packs of at most ``elements``, or ``float32`` elements where these may be others.

    Tensors of other dtypes may lie between those of a pack.
    """
    by_dtype: dict[str, list[TensorSpec]] = {}
    for spec in layout:
        by_dtype.setdefault(spec.dtype, []).append(spec)
    for dtype, specs in by_dtype.items():
        yield from _packed(specs, float32 if float32 and dtype == "float32" else elements)


def reader(source: TensorSource) -> Reader:
    """How to get the values of a pack out of ``source``, in its dtype: in one part or several, none of them kept."""
    if is_gatherer(source):
        gather = source.gather
        return lambda pack, memory: (gather(pack.pieces, memory),)
    block = source.block
    return lambda pack, _: [block(spec.name, start, stop) for spec, start, stop in pack.pieces]


def memory_for(elements: int) -> Tensor:
    """Bytes for a pack of that many elements of whatever dtype, aligned for all of them."""
    return np.empty(elements, np.float64).view(np.uint8)


def widen(parts: Sequence[Tensor], row: Tensor) -> None:
    """Put the parts of a pack one after another into ``row``, float64."""
    if len(parts) == 1:
        row[...] = parts[0]
    else:
        np.concatenate(parts, out=row)


def naming(work: Callable[[Pack], None], pack: Pack) -> None:
    """``work`` on a pack; should it refuse, then on every piece alone, so that the error names the right tensor."""
    try:
        work(pack)
    except Invalid:
        if len(pack.pieces) > 1:
            for piece in pack.pieces:
                work(Pack((piece,), piece.stop - piece.start))
        raise


def _packed(specs: Sequence[TensorSpec], elements: int) -> Iterator[Pack]:
    pieces: list[Piece] = []
    size = 0
    for spec in specs:
        start = 0
        while start < spec.size:
            stop = min(spec.size, start + elements - size)
            pieces.append(Piece(spec, start, stop))
            size += stop - start
            start = stop
            if size == elements:
                yield Pack(tuple(pieces), size)
                pieces, size = [], 0
    if pieces:
        yield Pack(tuple(pieces), size)
