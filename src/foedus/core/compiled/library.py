"""The compiled loop, where there is one: ``fold.c``, built when foedus was installed (``dev/native.py``).

A library that is missing, of another version, or for another processor is as good as none: NumPy does the work.
"""

import ctypes
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from foedus.core.arrays import Tensor

NAME = "fold.so"
TILE_ELEMENTS = 8192  # of sums, and of each of GROUP rows that are read; ``fold.c`` has the same
GROUP = 4
_VERSION = 1  # of arguments and results
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
    """Whether a sample comes out as NumPy has it: a compiler told to be fast at any price would fuse or reorder.

    In every column two values cancel out and leave what was rounded: nothing else would show in a float32.
    """
    columns = 37
    values = [np.sin(np.arange(1, columns + 1)), np.cos(np.arange(columns)) * 1e-17, np.full(columns, 1e-19)]
    block = np.array([values[0], -values[0], *values[1:], values[1]], np.float32)
    rows = np.array([np.roll(column, shift) for shift, column in enumerate(block.T)]).T.copy()
    weights, divisor = np.full(len(rows), 0.1), 0.5
    total = weights[0] * rows[0].astype(np.float64)
    for row, weight in zip(rows[1:], weights[1:], strict=True):
        total += weight * row.astype(np.float64)
    out = np.full(columns, np.nan, np.float32)
    sums, memory = scratch(TILE_ELEMENTS)
    sizes, outs = np.array([columns]), np.array([address(out)])
    places, files = np.array([address(row) for row in rows]), np.full(len(rows), -1, np.int32)
    code = loop(
        1, address(sizes), address(outs), None, 0.0, len(rows), address(places), address(files), address(weights),
        1, 1, divisor, address(sums), address(memory),
    )  # fmt: skip
    return code == 0 and out.tobytes() == (total / divisor).astype(np.float32).tobytes()


def scratch(elements: int) -> tuple[Tensor, Tensor]:
    """Sums of so many elements, and memory to read into."""
    return np.empty(elements), np.empty(GROUP * TILE_ELEMENTS, np.float32)
