"""The compiled loop, where there is one: ``fold.c``, built when foedus was installed (``dev/native.py``).

A library that is missing, of another version, or for another processor is as good as none: NumPy does the work.
"""

import ctypes
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from foedus.core.arrays import Tensor

NAME = "fold.so"
TILE_ELEMENTS = 8192  # of sums, and of each of GROUP rows that are read; ``fold.c`` has the same
GROUP = 4
_VERSION = 1  # of arguments and results
_NARROW, _WIDE = 200, TILE_ELEMENTS + 37  # columns of samples
_SIGNATURE = (
    ctypes.c_int64, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_double,
    ctypes.c_int64, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int, ctypes.c_int,
    ctypes.c_double, ctypes.c_void_p, ctypes.c_void_p,
)  # fmt: skip

Loop = Callable[..., int]


@cache
def fold_loop() -> Loop | None:
    """``foedus_fold`` of ``fold.c``, once it has given the bits of NumPy. It lets go of the interpreter."""
    found = _loaded(Path(__file__).with_name(NAME))
    if found is None:
        return None
    loop: Any = found.foedus_fold
    loop.argtypes, loop.restype = _SIGNATURE, ctypes.c_int
    return loop if _agrees(loop) else None


def vectors() -> str | None:
    """What the loop makes use of: ``avx2``, ``plain``; None where there is no loop."""
    if fold_loop() is None:
        return None
    said: Any = ctypes.CDLL(str(Path(__file__).with_name(NAME))).foedus_fold_vectors
    said.restype = ctypes.c_char_p
    return str(said().decode())


def address(tensor: Tensor) -> int:
    return int(tensor.ctypes.data)


def _loaded(path: Path) -> ctypes.CDLL | None:
    try:
        found = ctypes.CDLL(str(path))
        return found if found.foedus_fold_version() == _VERSION else None
    except (OSError, AttributeError):
        return None


def _agrees(loop: Loop) -> bool:
    """Whether samples come out as NumPy has them: a compiler told to be fast at any price would fuse or reorder.

    How a float64 was rounded shows in a float32 where a base takes nearly all of it away. Without a base, 1.5 times a
    float32 is often the middle between two others, and the least error decides which of them it becomes.
    """
    divisor = 49.0
    values = np.sin(np.arange(1, _WIDE + 9)).astype(np.float32)
    rows = [values[k : k + _WIDE] for k in range(9)]
    weights = 1.5 * divisor * np.cbrt(np.arange(1, 10))
    totals = [weights[0] * rows[0].astype(np.float64)]
    for row, weight in zip(rows[1:], weights[1:], strict=True):
        totals.append(totals[-1] + weight * row.astype(np.float64))
    return _notices_overflow(loop) and all(
        _is_same(
            _Sample([row[:columns] for row in rows], weights, turns, divisor),
            loop,
            totals[sum(turns) - 1][:columns] / divisor,
        )
        for turns, columns in (((1,), _NARROW), ((4,), _NARROW), ((9,), _NARROW), ((3, 6), _WIDE))
    )


def _is_same(sample: "_Sample", loop: Loop, mean: Tensor) -> bool:
    """Without a base, and with one of either sign."""
    rounded = mean.astype(np.float32)
    rest = (mean - rounded).astype(np.float32).tobytes()
    return (
        sample.folded(loop) == (0, rounded.tobytes())
        and sample.folded(loop, -rounded, 1.0) == (0, rest)
        and sample.folded(loop, rounded, -1.0) == (0, rest)
    )


def _notices_overflow(loop: Loop) -> bool:
    """A compiler told that there are no infinities would leave out what looks for them."""
    most = np.full(50, np.finfo(np.float32).max)
    sample = _Sample([most], np.ones(1), (1,), 0.5)
    return sample.folded(loop)[0] == 1 and sample.folded(loop, most, 1.0)[0] == 1


@dataclass(frozen=True, slots=True)
class _Sample:
    """Rows that are folded in several turns, so many in each; as two pieces."""

    rows: Sequence[Tensor]
    weights: Tensor
    turns: tuple[int, ...]
    divisor: float

    def folded(self, loop: Loop, base: Tensor | None = None, sign: float = 0.0) -> tuple[int, bytes]:
        """What the last call answered, and the mean."""
        columns, code = len(self.rows[0]), 0
        out = np.full(columns, np.nan, np.float32)
        sums, memory = scratch(columns)
        starts = np.array([[0], [columns - 5]])
        sizes, outs = np.array([columns - 5, 5]), address(out) + starts * out.itemsize
        bases = None if base is None else address(base) + starts * out.itemsize
        for turn, count in enumerate(self.turns):
            begin = sum(self.turns[:turn])
            places = np.array([address(row) for row in self.rows[begin : begin + count]]) + starts * out.itemsize
            files, weights = np.full(count, -1, np.int32), self.weights[begin : begin + count]
            code = loop(
                2, address(sizes), address(outs), None if bases is None else address(bases), sign,
                count, address(places), address(files), address(weights), turn == 0, turn == len(self.turns) - 1,
                self.divisor, address(sums), address(memory),
            )  # fmt: skip
        return code, out.tobytes()


def scratch(elements: int) -> tuple[Tensor, Tensor]:
    """Sums of so many elements, and memory to read into."""
    return np.empty(elements), np.empty(GROUP * TILE_ELEMENTS, np.float32)
