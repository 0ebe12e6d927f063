"""CUDA devices by CuPy (https://cupy.dev), which is imported when a project first asks for one.

Which device it is, where there are several, ``CUDA_VISIBLE_DEVICES`` says: the first that it names.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import numpy as np

from foedus.core.statistics import Arithmetic
from foedus.ports.devices import DeviceFails, NoDevice

_BLOCK_BYTES = 1 << 25  # so much that its way to the device is not all of its time
_MAX_REASON = 300  # characters of what CuPy says


def _cupy() -> Any:
    import cupy

    return cupy


class CudaArithmetic:
    """CuPy by the words of ``Arithmetic``."""

    block_bytes = _BLOCK_BYTES

    def __init__(self, cupy: Any) -> None:
        self.asarray, self.zeros, self.matmul, self.asnumpy = cupy.asarray, cupy.zeros, cupy.matmul, cupy.asnumpy


class CudaDevices:
    """``load`` gives the module ``cupy``, or raises ImportError."""

    def __init__(self, load: Callable[[], Any] = _cupy) -> None:
        self._load = load

    @contextmanager
    def opened(self) -> Iterator[Arithmetic]:
        cupy = self._found()
        try:
            yield CudaArithmetic(cupy)
        except Exception as exc:
            if not _is_of_cupy(exc):
                raise
            raise DeviceFails(f"the CUDA device failed, and nothing of these rows was learned: {_said(exc)}") from exc
        finally:
            with suppress(Exception):  # other processes use the device too; one that failed has nothing to give back
                cupy.get_default_memory_pool().free_all_blocks()

    def _found(self) -> Any:
        """CuPy with a device that multiplies: a driver alone is not enough, since CuPy loads libraries when they are
        first used.
        """
        cupy = self._loaded()
        try:
            count = cupy.cuda.runtime.getDeviceCount()
        except Exception as exc:
            raise NoDevice(f"this server finds no CUDA device ({_said(exc)}): see what nvidia-smi says there") from exc
        if count < 1:
            raise NoDevice("this server finds no CUDA device: see what nvidia-smi and CUDA_VISIBLE_DEVICES say there")
        try:
            _try(cupy)
        except Exception as exc:
            raise NoDevice(f"this server has a CUDA device that does not compute: {_said(exc)}") from exc
        return cupy

    def _loaded(self) -> Any:
        try:
            return self._load()
        except ImportError as exc:
            if isinstance(exc, ModuleNotFoundError) and exc.name == "cupy":
                raise NoDevice(
                    "this server lacks CuPy, which computes on CUDA devices: have its operator install foedus[cuda] "
                    "and start it again"
                ) from exc
            raise NoDevice(f"CuPy is installed on this server and cannot be loaded: {_said(exc)}") from exc


def _try(cupy: Any) -> None:
    two = cupy.asarray(np.full((2, 2), 2.0))
    out = cupy.zeros((2, 2))
    cupy.matmul(two * two, two.T, out=out)
    if not np.allclose(cupy.asnumpy(out), 16.0):
        raise ArithmeticError("2 * 2 * 2 + 2 * 2 * 2 is not 16 there")


def _is_of_cupy(exc: Exception) -> bool:
    """Whether the library raised it: of its own kinds, or because one of CUDA's libraries is not there."""
    return type(exc).__module__.split(".")[0] in ("cupy", "cupy_backends", "cuda") or isinstance(exc, ImportError)


def _said(exc: Exception) -> str:
    return " ".join(str(exc).split())[:_MAX_REASON] or type(exc).__name__
