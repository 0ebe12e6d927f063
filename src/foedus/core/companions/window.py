"""The statistics of the latest rows, as blocks that leave one by one."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from foedus.core.statistics import Statistics

BLOCKS = 16  # that a window is made of, when they are full
MAX_ROWS = 1 << 40


@dataclass(frozen=True, slots=True)
class Window:
    """Of at least the latest ``size`` rows, and at most a sixteenth more; it can tell blocks, not rows, apart.
    ``embedded``: the project's statistics are of all rows nevertheless.
    """

    size: int
    embedded: bool = False

    @property
    def block(self) -> int:
        """How many rows a block has, at most."""
        return -(-self.size // BLOCKS)

    def pieces(self, rows: int) -> Iterator[NDArray[np.intp]]:
        """The places of so many rows that blocks are made of: those of the latest ``size`` rows."""
        for start in range(max(0, rows - self.size), rows, self.block):
            yield np.arange(start, min(start + self.block, rows), dtype=np.intp)

    def moved(self, blocks: Sequence[Statistics], added: Sequence[Statistics]) -> tuple[Statistics, ...]:
        """The blocks with more behind them, and without those that the window is full without."""
        found = list(blocks)
        for piece in added:
            if found and found[-1].rows + piece.rows <= self.block:
                found[-1] = found[-1].merge(piece)
            elif piece.rows:
                found.append(piece)
        rows = sum(block.rows for block in found)
        first = 0
        while found and rows - found[first].rows >= self.size:
            rows -= found[first].rows
            first += 1
        return tuple(found[first:])
