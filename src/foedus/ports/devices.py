"""Devices that sum products of columns instead of the processor, where a project is made to learn on one."""

from contextlib import AbstractContextManager
from typing import NoReturn, Protocol

from foedus.core.errors import Unavailable
from foedus.core.statistics import Arithmetic


class NoDevice(Unavailable):
    """This server has no device to compute on."""


class DeviceFails(Unavailable):
    """The device failed while it computed; nothing of these rows was learned."""


class Devices(Protocol):
    """Safe to use from many threads, and beside other processes on the same device."""

    def opened(self) -> AbstractContextManager[Arithmetic]:
        """A device that was seen to compute; what it holds is let go at the end of the block.

        Raises NoDevice, saying what is missing and how to get it; DeviceFails for what goes wrong within the block.
        """
        ...


class NoDevices:
    """A server that computes on its processor alone."""

    def opened(self) -> NoReturn:
        raise NoDevice
