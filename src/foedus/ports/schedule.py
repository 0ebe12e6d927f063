"""A clock outside of foedus that asks for the aggregation of a model every minute, where no worker of ours runs."""

from typing import Protocol

from foedus.core.errors import Unavailable


class ScheduleUnavailable(Unavailable):
    """The service that keeps schedules does not answer."""


class Schedule(Protocol):
    """One entry a model. Safe to use from many threads; each verb may be repeated."""

    def keep(self, model: int, *, active: bool) -> None:
        """Make sure that there is an entry for the model, and that it fires only while ``active``."""
        ...

    def drop(self, model: int) -> None:
        """Make sure that there is none."""
        ...


class NoSchedule:
    """Workers of our own are woken by what happens, and need no clock outside."""

    def keep(self, model: int, *, active: bool) -> None:
        """Nothing to keep."""

    def drop(self, model: int) -> None:
        """Nothing to drop."""
