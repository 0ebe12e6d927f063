"""Means of float32 by the compiled loop: which values lie where, and who has to be asked for them."""

import errno
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Self

import numpy as np

from foedus.core.arrays import Tensor, TensorSource
from foedus.core.compiled.library import TILE_ELEMENTS, Loop, address, fold_loop, scratch
from foedus.core.packs import Pack, Placed, is_placed, memory_for, reader

_KEPT_OPEN = 128  # files at once, of the 1,024 that a process usually may have
_SHARE = 8  # of those that it may have: others fold at the same time, and there are connections
_BLOCK_ELEMENTS = 1 << 18
_AT_ONCE = 8  # rows that are decoded or gathered before they are folded
_SMALL = 1024  # elements: pieces below are gathered, for a read costs more than they are worth


class Spoilt(Exception):
    """What a source hands out is not what its layout says."""


@dataclass(slots=True)
class Room:
    """What a thread uses again for every pack; made when it is needed."""

    tile: tuple[Tensor, Tensor] = field(default_factory=lambda: scratch(TILE_ELEMENTS))
    wide: Tensor = field(default_factory=lambda: np.empty(0))
    rows: list[Tensor] = field(default_factory=list)

    def sums(self, elements: int) -> Tensor:
        if len(self.wide) < elements:
            self.wide = np.empty(elements)
        return self.wide

    def row(self, number: int, elements: int) -> Tensor:
        while len(self.rows) <= number:
            self.rows.append(np.empty(0, np.uint8))
        if len(self.rows[number]) < 8 * elements:
            self.rows[number] = memory_for(elements)
        return self.rows[number]


@dataclass(frozen=True, slots=True)
class Target:
    """Where the mean of a pack goes, and what is added to it ``sign`` times before it is rounded."""

    outs: Sequence[Tensor]
    bases: Sequence[Tensor] | None = None
    sign: float = 1.0


@dataclass(frozen=True, slots=True)
class CompiledMeans:
    """``sum(weights * sources) / divisor`` of packs of float32, rows added in their order.

    ``files`` are descriptors of all sources, or None where these are too many to be kept open. NumPy, which opens one
    at a time, does what this process has too few left for.
    """

    loop: Loop
    sources: Sequence[TensorSource]
    weights: Tensor
    divisor: float
    files: Tensor | None
    placed: Sequence[Placed] | None  # the sources, where all of them are

    @classmethod
    @contextmanager
    def over(cls, sources: Sequence[TensorSource], weights: Sequence[float], divisor: float) -> Iterator[Self | None]:
        """None where there is no compiled loop."""
        loop = fold_loop()
        if loop is None:
            yield None
            return
        with ExitStack() as stack:
            files = _opened(sources, stack) if len(sources) <= kept_open() else None
            placed = [source for source in sources if is_placed(source)]
            all_placed = placed if len(placed) == len(sources) else None
            yield cls(loop, sources, np.array(weights, np.float64), divisor, files, all_placed)

    @property
    def block_elements(self) -> int | None:
        """What is best folded at once: much, for nothing of it is kept; None where a pack is held in memory."""
        return _BLOCK_ELEMENTS if self.placed is not None and self.files is not None else None

    def fold(self, pack: Pack, target: Target, room: Room) -> bool:
        """Whether that was possible. If not, nothing is to be believed, and NumPy will say what is wrong."""
        if pack.spec.dtype != "float32" or not all(map(_is_plain, target.outs)):
            return False
        if target.bases is not None and not all(map(_is_plain, target.bases)):
            return False
        placed = self.placed if pack.size >= _SMALL * len(pack.pieces) else None
        step = _AT_ONCE if placed is None else kept_open()
        try:
            return all(
                self._add(pack, target, room, rows, placed)
                for rows in (slice(at, at + step) for at in range(0, len(self.sources), step))
            )
        except Spoilt:
            return False

    def _add(self, pack: Pack, target: Target, room: Room, rows: slice, placed: Sequence[Placed] | None) -> bool:
        sources = self.sources[rows]
        with ExitStack() as stack:
            if placed is not None:
                places = [source.places(pack.pieces) for source in placed[rows]]
                files = _opened(sources, stack) if self.files is None else self.files[rows]
                if files is None:
                    return False
            else:  # ``parts`` live until the loop has read them
                parts = [_parts(source, pack, room.row(i, pack.size)) for i, source in enumerate(sources)]
                places = [[address(part) for part in of_one] for of_one in parts]
                files = np.full(len(sources), -1, np.int32)
            return self._call(pack, target, room, rows, np.array(places, np.int64).T, files)

    def _call(self, pack: Pack, target: Target, room: Room, rows: slice, places: Tensor, files: Tensor) -> bool:
        first, last = rows.start == 0, rows.stop >= len(self.sources)
        sums, memory = room.tile if first and last else (room.sums(pack.size), room.tile[1])
        sizes = np.array([stop - start for _, start, stop in pack.pieces], np.int64)
        outs = np.array([address(out) for out in target.outs], np.int64)
        bases = None if target.bases is None else np.array([address(base) for base in target.bases], np.int64)
        places, weights = np.ascontiguousarray(places), self.weights[rows]
        code = self.loop(
            len(sizes), address(sizes), address(outs), None if bases is None else address(bases), target.sign,
            len(weights), address(places), address(files), address(weights), first, last, self.divisor,
            address(sums), address(memory),
        )  # fmt: skip
        return code == 0


def kept_open() -> int:
    """How many files a fold may have open at once."""
    try:
        import resource
    except ModuleNotFoundError:  # not every system limits them
        return _KEPT_OPEN
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return _KEPT_OPEN if soft == resource.RLIM_INFINITY else max(1, min(_KEPT_OPEN, soft // _SHARE))


def _opened(sources: Sequence[TensorSource], stack: ExitStack) -> Tensor | None:
    """Descriptors of those that have a file, -1 for the others, until ``stack`` ends; None where too few are left."""
    with ExitStack() as own:
        try:
            files = [own.enter_context(s.opened()) if is_placed(s) else -1 for s in sources]
        except OSError as exc:
            if exc.errno in (errno.EMFILE, errno.ENFILE):
                return None
            raise
        stack.enter_context(own.pop_all())
        return np.array(files, np.int32)


def _parts(source: TensorSource, pack: Pack, memory: Tensor) -> list[Tensor]:
    """The pieces of a pack, one by one, and each as the loop needs it."""
    parts = list(reader(source)(pack, memory))
    if len(parts) == 1 and len(pack.pieces) > 1:
        parts = [parts[0][place] for _, place in pack.places()]
    sizes = [stop - start for _, start, stop in pack.pieces]
    if [part.size for part in parts] != sizes or not all(map(_is_plain, parts)):
        raise Spoilt
    return parts


def _is_plain(tensor: Tensor) -> bool:
    return tensor.dtype == np.float32 and tensor.flags.c_contiguous
