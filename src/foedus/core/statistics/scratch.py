"""Room for what is computed block by block."""

from math import prod
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray


class Scratch:
    """Arrays that are used again: new pages of memory can cost more than to compute what is in them."""

    def __init__(self) -> None:
        self._rooms: dict[str, NDArray[Any]] = {}

    def take(self, use: str, shape: tuple[int, ...], dtype: DTypeLike = np.float64) -> NDArray[Any]:
        """An array with anything in it, until the same use is asked for again; always with the same dtype."""
        size = prod(shape)
        room = self._rooms.get(use)
        if room is None or room.size < size:
            room = self._rooms[use] = np.empty(size, dtype)
        return room[:size].reshape(shape)
