import threading

import pytest
from tests.simulation.flaas.exchanges import HandTimer

from foedus.simulation.flaas.api import CallFailed
from foedus.simulation.flaas.schedule import Chain, Ending, Pace, Schedule


def failing(times, error, ran):
    def step(attempt):
        ran.append(attempt)
        if len(ran) <= times:
            raise error
        return True

    return step


def run(steps, seconds=1000.0):
    timer, endings = HandTimer(), []
    Chain(timer, Pace(), steps, lambda ending, why: endings.append(ending)).start()
    timer.passes(seconds)
    return endings


def test_steps_follow_each_other():
    ran = []
    steps = [lambda attempt, n=n: ran.append(n) or True for n in range(3)]

    assert run(steps) == [Ending.DONE]
    assert ran == [0, 1, 2]


def test_a_failed_call_is_repeated_three_times_ever_later():
    timer, ran, endings = HandTimer(), [], []
    chain = Chain(timer, Pace(), [failing(9, CallFailed("no"), ran)], lambda ending, why: endings.append(ending))
    chain.start()
    counts = []
    for seconds in (0, 29, 1, 59, 1, 119, 1):  # back-off of 30, 60 and 120 s
        timer.passes(seconds)
        counts.append(len(ran))

    assert counts == [1, 1, 2, 2, 3, 3, 4]
    assert endings == [Ending.GAVE_UP]


def test_only_the_failed_job_is_repeated():
    first, second = [], []

    assert run([failing(0, None, first), failing(2, CallFailed("no"), second)]) == [Ending.DONE]
    assert (first, second) == ([1], [1, 2, 3])


def test_another_error_ends_the_chain_at_once():
    ran = []

    assert run([failing(9, ValueError("bad"), ran), lambda attempt: True]) == [Ending.FAILED]
    assert ran == [1]


def test_a_step_may_end_the_chain():
    assert run([lambda attempt: False, lambda attempt: True]) == [Ending.STOPPED]


def test_calls_come_at_their_times_on_several_threads():
    seen, done, together = [], threading.Event(), threading.Barrier(2)
    with Schedule(workers=2) as schedule:
        schedule.after(0.05, lambda: (seen.append("later"), done.set()))
        schedule.after(0.0, lambda: (together.wait(5), seen.append("now")))
        schedule.after(0.0, lambda: (together.wait(5), seen.append("now")))
        assert done.wait(5)

    assert seen == ["now", "now", "later"]


def test_a_call_can_be_taken_back():
    seen, done = [], threading.Event()
    with Schedule(workers=1) as schedule:
        cancel = schedule.after(0.02, lambda: seen.append("cancelled"))
        cancel()
        schedule.after(0.04, done.set)
        assert done.wait(5)

    assert seen == []


def test_leaving_drops_what_has_not_begun():
    with Schedule(workers=1) as schedule:
        schedule.after(3600, lambda: None)


def test_an_unexpected_error_reaches_whoever_checks():
    done = threading.Event()
    with Schedule(workers=1) as schedule:
        schedule.after(0, lambda: 1 / 0)
        schedule.after(0.01, done.set)
        assert done.wait(5)

        with pytest.raises(ZeroDivisionError):
            schedule.check()
