"""A module that behaves like CuPy, and computes with NumPy: its arrays are kinds of their own, which nothing but
``asarray`` makes and nothing but ``asnumpy`` opens, and it counts what it is asked for.
"""

from collections import Counter
from types import SimpleNamespace

import numpy as np


class CUDARuntimeError(RuntimeError):
    __module__ = "cupy_backends.cuda.api.runtime"


def one_sided(product):
    """No library but NumPy promises the same bits on both sides of the diagonal."""
    product[np.triu_indices_from(product, 1)] *= 1 + 2**-50
    return product


class There:
    """An array on the device."""

    __array_ufunc__ = None  # NumPy's own operators do not take it
    __array__ = None

    def __init__(self, cupy, values):
        self._cupy, self._values = cupy, values

    def __getitem__(self, place):
        return There(self._cupy, self._values[place])

    def __mul__(self, other):
        return self._made("multiply", self._values * other._values)

    def __matmul__(self, other):
        return self._made("matmul", one_sided(self._values @ other._values))

    def __iadd__(self, other):
        self._values += other._values
        return self

    def diagonal(self):
        return There(self._cupy, self._values.diagonal())

    T = property(lambda self: There(self._cupy, self._values.T))
    size = property(lambda self: self._values.size)

    def _made(self, name, values):
        self._cupy.called(name)
        return There(self._cupy, values)


class CupyLike:
    """``devices``: how many it finds, or what is wrong with its driver. ``fail_at``: which matrix product fails."""

    def __init__(self, devices=1, fail_at=0):
        self.devices, self.fail_at, self.calls, self.pools = devices, fail_at, Counter(), 0
        self.cuda = SimpleNamespace(runtime=SimpleNamespace(getDeviceCount=self._count))

    def _count(self):
        if isinstance(self.devices, str):
            raise CUDARuntimeError(self.devices)
        return self.devices

    def called(self, name):
        self.calls[name] += 1
        if name == "matmul" and self.calls[name] == self.fail_at:
            raise CUDARuntimeError("cudaErrorECCUncorrectable: uncorrectable ECC error")

    def asarray(self, values):
        self.called("asarray")
        return There(self, np.array(values, dtype=np.float64))

    def zeros(self, shape):
        return There(self, np.zeros(shape))

    def matmul(self, a, b, out):
        self.called("matmul")
        out._values[...] = one_sided(a._values @ b._values)
        return out

    def asnumpy(self, values):
        self.called("asnumpy")
        return np.array(values._values)

    def get_default_memory_pool(self):
        return SimpleNamespace(free_all_blocks=self._free)

    def _free(self):
        self.pools += 1
