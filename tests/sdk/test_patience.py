import logging
import random
import signal
import threading

import pytest

from foedus.core.errors import Conflict, QuotaExceeded, Unavailable
from foedus.sdk import stopping
from foedus.sdk.patience import Patience
from foedus.sdk.stopping import Stop, Stopped


class Watch(threading.Event):
    """A stop that nobody sets, and that notes how long it was waited for: ``clock`` goes on by as much."""

    def __init__(self):
        super().__init__()
        self.waits = []
        self.now_s = 1000.0

    def wait(self, timeout=None):
        self.waits.append(timeout)
        self.now_s += timeout
        return False

    def clock(self):
        return self.now_s


class Failing:
    def __init__(self, *errors):
        self.errors = list(errors)

    def __call__(self):
        if self.errors:
            raise self.errors.pop(0)
        return "done"


def test_waits_are_drawn_from_zero_to_a_ceiling_that_doubles_up_to_the_longest():
    stop = Watch()
    patience = Patience(stop, random.Random(1), base_s=1.0, longest_s=4.5, clock=stop.clock)

    patience.call("try", Failing(*[Unavailable()] * 400))

    ceilings = [1.0, 2.0, 4.0] + [4.5] * 397
    assert all(0 <= wait <= ceiling for wait, ceiling in zip(stop.waits, ceilings, strict=True))
    assert min(stop.waits[3:]) < 0.3
    assert max(stop.waits[3:]) > 4.2


def test_no_wait_is_long_beside_the_trouble_that_it_waits_for():
    """Whoever restarts in a minute is found again within a quarter of one; whoever is away for a day, within one."""
    stop = Watch()
    patience = Patience(stop, random.Random(1), clock=stop.clock)

    patience.call("try", Failing(*[Unavailable()] * 400))

    troubles = [sum(stop.waits[:n]) for n in range(400)]
    assert all(wait <= max(5.0, trouble / 4) for wait, trouble in zip(stop.waits, troubles, strict=True))
    assert max(wait for wait, trouble in zip(stop.waits, troubles, strict=True) if trouble < 20) > 3
    assert 55 < max(stop.waits) <= 60


def test_the_next_trouble_begins_with_short_waits():
    stop = Watch()
    patience = Patience(stop, random.Random(1), clock=stop.clock)
    patience.call("try", Failing(*[Unavailable()] * 100))
    stop.now_s += 3600.0

    patience.call("try", Failing(*[Unavailable()] * 7))

    assert max(stop.waits[100:]) <= 5.0


def test_a_server_is_never_asked_before_its_retry_after():
    stop = Watch()
    patience = Patience(stop, random.Random(1))

    patience.call("try", Failing(QuotaExceeded(retry_after_s=30.0), Unavailable(retry_after_s=7.0)))

    assert stop.waits[0] >= 30.0
    assert 7.0 <= stop.waits[1] <= 8.0


def test_what_will_not_change_is_not_tried_again():
    attempt = Failing(Conflict("no"))

    with pytest.raises(Conflict):
        Patience(Watch(), random.Random(1)).call("try", attempt)


def test_the_same_reason_is_said_once(caplog):
    caplog.set_level(logging.INFO, "foedus.participant")
    errors = [Unavailable("it is asleep")] * 5 + [Unavailable("it is ill")] * 2

    Patience(Watch(), random.Random(1)).call("ask for work", Failing(*errors))

    assert [record.levelname for record in caplog.records] == ["WARNING", "WARNING", "INFO"]
    assert caplog.messages == [
        "waiting: to ask for work, because: it is asleep",
        "waiting: to ask for work, because: it is ill",
        "the server answers again after 7 failed attempts",
    ]


def test_a_stop_ends_a_wait_at_once():
    stop = Stop()
    timer = threading.Timer(0.05, stop.set)
    timer.start()

    with pytest.raises(Stopped):
        Patience(stop, random.Random(1)).call("try", Failing(Unavailable(retry_after_s=600.0)))

    timer.join()


def test_a_stop_calls_back_those_who_asked_for_it():
    stop, heard = Stop(), []
    stop.on_set(lambda: heard.append("first"))
    gone = lambda: heard.append("gone")  # noqa: E731
    stop.on_set(gone)
    stop.off(gone)

    stop.set()

    assert heard == ["first"]


def test_the_first_signal_stops_and_the_same_again_later_does_what_it_did_before(monkeypatch):
    heard = []
    before = signal.signal(signal.SIGUSR1, lambda number, _: heard.append(number))
    try:
        stop = Stop.on_signals(signal.SIGUSR1)

        signal.raise_signal(signal.SIGUSR1)
        assert stop.wait(5.0)
        signal.raise_signal(signal.SIGUSR1)
        assert heard == []  # the same Ctrl-C, handed on twice
        monkeypatch.setattr(stopping, "TWICE_S", 0.0)
        signal.raise_signal(signal.SIGUSR1)
        assert heard == [signal.SIGUSR1]
    finally:
        signal.signal(signal.SIGUSR1, before)
