"""Sums of products of columns, where the time goes: on the processor, or on a device that computes as NumPy does.

Rows are handed over block by block; sums stay where they are computed until they are asked for.
"""

from typing import Any, Protocol

import numpy as np

from foedus.core.statistics.moments import Floats


class Arithmetic(Protocol):
    """What sums of products take of NumPy, or of a library of the same words such as CuPy. Its arrays are of float64,
    and know ``*``, ``@``, ``+=``, ``T``, ``size``, ``diagonal`` and slices.
    """

    @property
    def block_bytes(self) -> int:
        """How many bytes of rows to hand over at once, about."""
        ...

    def asarray(self, values: Floats) -> Any:
        """An array of its own, which later changes of ``values`` do not reach; on the processor ``values`` itself."""
        ...

    def zeros(self, shape: tuple[int, ...]) -> Any: ...

    def matmul(self, a: Any, b: Any, out: Any) -> Any: ...

    def asnumpy(self, values: Any) -> Floats: ...


class _Processor:
    block_bytes = 1 << 20  # more than the cache next to a core has: what a block costs Python counts as well

    def asarray(self, values: Floats) -> Floats:
        return values

    def zeros(self, shape: tuple[int, ...]) -> Floats:
        return np.zeros(shape)

    def matmul(self, a: Floats, b: Floats, out: Floats) -> Floats:
        return np.matmul(a, b, out=out)

    def asnumpy(self, values: Floats) -> Floats:
        return values


PROCESSOR: Arithmetic = _Processor()


class Products:
    """Of d columns, the first c of which are not binary: sums of u*v (d, d), of u**2 * v (c, binary columns) and, when
    ``products`` are kept, of u**2 * v for all v (c, d) and of u**2 * v**2 (c, c).
    """

    def __init__(self, on: Arithmetic, d: int, c: int, *, products: bool) -> None:
        self._on, self._c, self._products = on, c, products
        self._s11 = on.zeros((d, d))
        self._s21 = on.zeros((c, d if products else d - c))
        self._s22 = on.zeros((c, c) if products else (0, 0))
        self._gram = on.zeros((d, d))

    @property
    def wants_squares(self) -> bool:
        """Whether squares of the columns that are not binary go into products."""
        return bool(self._s21.size)

    def add(self, u: Floats, squares: Floats | None) -> Floats:
        """Add a block (d, n), with its squares (c, n) if they are wanted; each column's sum of squares in it, until the
        next: (d,).
        """
        c, there = self._c, self._on.asarray(u)
        self._on.matmul(there, there.T, out=self._gram)
        self._s11 += self._gram
        if squares is None:
            return self._on.asnumpy(self._gram.diagonal())
        uu = squares if there is u else there[:c] * there[:c]  # to square anew costs less than to carry it over
        self._s21 += uu @ (there if self._products else there[c:]).T
        if self._products:
            self._s22 += uu @ uu.T
        return self._on.asnumpy(self._gram.diagonal())

    def sums(self) -> tuple[Floats, Floats, Floats]:
        """Of u*v, u**2 * v and u**2 * v**2."""
        s11, s21, s22 = (self._on.asnumpy(each) for each in (self._s11, self._s21, self._s22))
        if s11 is not self._s11:
            _mirror(s11)
            _mirror(s22)
        return s11, s21, s22


def _mirror(matrix: Floats) -> None:
    """Put the lower triangle into the upper one. NumPy computes a matrix times its transpose with the same bits on both
    sides of the diagonal; other libraries promise no such thing, and statistics need it.
    """
    for k in range(len(matrix) - 1):
        matrix[k, k + 1 :] = matrix[k + 1 :, k]
