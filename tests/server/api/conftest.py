"""A small study whose names, times and figures are known."""

from dataclasses import dataclass
from datetime import UTC, datetime
from io import StringIO

import pytest
from django.core.management import call_command
from tests.fleets import PASSWORD, PLUGGED, Fleet, weights

from foedus.core.fleet.modes import TrainingMode
from foedus.core.fleet.performance import write_performance
from foedus.services.fleet import training
from foedus.services.fleet.accounts import create_account
from foedus.services.learning.clock import tick

KEPT = {
    "version_code": 13,
    "bucket": 10,
    "network_type": "WIFI",
    "network_subtype": "",
    "power_plugged": True,
    "battery_level": 1.0,
}


def said(**changes):
    """What a phone says, with the columns that follow from it."""
    kept = {name: value for name, value in (KEPT | changes).items() if value is not None}
    return PLUGGED.__class__(
        details=PLUGGED.details,
        power_plugged=kept.get("power_plugged"),
        battery_level=kept.get("battery_level"),
        kept=kept,
    )


@dataclass
class Study(Fleet):
    """A fleet of test_user1, test_user2 and so on."""

    @classmethod
    def begin(cls, ports, clock, n_devices=4, **fields):
        values = {"title": "Test Baseline IID", "number_of_rounds": 20, "battery_level_threshold": "0.60", **fields}
        study = cls.create(ports, clock, 0, **values)
        study.enrol(*(f"test_user{number}" for number in range(1, n_devices + 1)))
        return study

    def enrol(self, *names):
        first = len(self.devices)
        self.devices += [
            create_account(name, PASSWORD, first + place, now=self.clock()) for place, name in enumerate(names)
        ]
        self.add(0)

    def say(self, *places, **changes):
        super().say(*places, said=said(**changes))

    def join(self, number, *places):
        for place in places:
            training.join_round(self.devices[place], self.pk, number, 1, now=self.clock())
            self.clock.passes(1)

    def finish(self, number, losses):
        """Each device of ``losses``, by its place, trains and tells its loss."""
        for place, loss in losses.items():
            body = write_performance(TrainingMode.BASELINE, losses={"": [9.9, loss]}, numbers={})
            self.upload(place, number, weights(place))
            self.report(place, number, said())
            training.submit_results(self.ports, self.devices[place], self.pk, number, body, now=self.clock())
        self.work()

    def times_out(self):
        self.clock.passes(60 * 60)
        tick(self.ports, now=self.clock())
        self.work()

    def is_over(self):
        """Round 0 complete without test_user4, 1 complete, 2 invalid, 3 training."""
        self.say()
        self.work()
        self.join(0, 1, 2, 0)
        self.finish(0, {0: 0.25, 1: 0.50, 2: 0.75})
        self.times_out()
        self.say()
        self.work()
        self.join(1, 3, 0, 1, 2)
        self.finish(1, {0: 0.30, 1: 0.32, 2: 0.30, 3: 0.32})
        self.work()
        self.join(2, 0)
        self.finish(2, {0: 0.125})
        self.times_out()
        self.say()
        self.work()
        self.join(3, 3, 1)
        self.finish(3, {3: 0.2})
        return self


@pytest.fixture
def clock(clock):
    clock.now = datetime(2026, 11, 22, 4, 21, 29, 10836, tzinfo=UTC)  # 05:21:29.010836 in Madrid
    return clock


@pytest.fixture
def study(ports, clock):
    return Study.begin(ports, clock)


@pytest.fixture
def over(study):
    return study.is_over()


@pytest.fixture
def run(ports, clock):
    """What a command prints."""

    def call(name, *arguments):
        out = StringIO()
        call_command(name, *(str(argument) for argument in arguments), ports=ports, now=clock(), stdout=out)
        return out.getvalue()

    return call
