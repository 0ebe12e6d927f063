"""Jobs that go wrong in every way, and lanes that have as many threads as there is work for."""

import contextlib
import threading
from queue import Empty, SimpleQueue
from types import SimpleNamespace

import pytest
from tests.services.statistics.conftest import Lab

from foedus.core.errors import Conflict, Unavailable
from foedus.ports.bus import BusUnavailable
from foedus.records.shell.models import Job
from foedus.server import lanes
from foedus.server.lanes import Lane, LaneSpec
from foedus.server.watches import Watch
from foedus.server.work import ABANDONED, ENDLESS, HANDLERS, LONG, PATIENCE, SLOW
from foedus.services.federation.promises import CHANGED_JOB, PULSE_JOB
from foedus.services.learning.rounds import COMBINE_JOB
from foedus.services.shell import jobs

KIND = "collect-garbage"


@pytest.fixture
def lab(ports, clock, transactional_db, monkeypatch):
    monkeypatch.setattr(lanes, "_now", clock)
    made = Lab(ports, clock)
    jobs.enqueue(ports, KIND, "x", clock())
    return made


def fails(error):
    def handler(_ports, _job, *, now):
        raise error

    return handler


def until_given_up(lab):
    for _ in range(12):
        lab.clock.passes(61)
        lanes.do_one(lab.ports, "")
    return Job.objects.get()


def test_a_conflict_of_the_work_itself_is_tried_again_and_given_up_for_people_to_see(lab, monkeypatch):
    monkeypatch.setitem(HANDLERS, KIND, fails(Conflict("it cannot be")))

    job = until_given_up(lab)

    assert (job.state, job.attempts) == (Job.State.FAILED, jobs.MAX_ATTEMPTS)
    assert "it cannot be" in job.latest_error


def test_a_job_that_another_worker_took_over_is_left_to_it(lab, monkeypatch):
    def taken_over(_ports, job, *, now):
        Job.objects.filter(pk=job.pk).update(lease_token="another's")
        jobs.complete(job)

    monkeypatch.setitem(HANDLERS, KIND, taken_over)
    assert lanes.do_one(lab.ports, "")

    job = Job.objects.get()
    assert (job.state, job.lease_token, job.latest_error) == (Job.State.RUNNING, "another's", "")


@pytest.mark.parametrize("error", [ValueError("a bug"), Unavailable("the ledger does not answer")])
def test_what_follows_a_job_that_is_given_up_may_fail_as_well(lab, monkeypatch, error):
    """Nothing of it ends the worker, and what may pass is tried until it was done."""
    monkeypatch.setitem(HANDLERS, KIND, fails(Unavailable("it does not answer")))
    monkeypatch.setitem(PATIENCE, KIND, 2)
    told = []
    monkeypatch.setitem(ABANDONED, KIND, fails(error))
    for _ in range(2):
        lab.clock.passes(61)
        assert lanes.do_one(lab.ports, "")
    assert Job.objects.get().state == (Job.State.QUEUED if isinstance(error, Unavailable) else Job.State.FAILED)

    monkeypatch.setitem(ABANDONED, KIND, lambda _ports, job, *, now: told.append((job.subject, now)))
    job = until_given_up(lab)
    assert job.state == Job.State.FAILED
    assert len(told) == isinstance(error, Unavailable)


class Died(BaseException):
    """The process is gone, and with it whatever it had not committed."""


def test_who_dies_while_a_job_is_given_up_leaves_nobody_waiting(lab, monkeypatch):
    def dies(_ports, _job, *, now):
        raise Died

    told = []
    monkeypatch.setitem(HANDLERS, KIND, fails(ValueError("a bug")))
    monkeypatch.setitem(ABANDONED, KIND, dies)
    with pytest.raises(Died):
        until_given_up(lab)
    monkeypatch.setitem(ABANDONED, KIND, lambda _ports, job, *, now: told.append(job.subject))

    job = until_given_up(lab)

    assert (job.state, told) == (Job.State.FAILED, ["x"])


def test_what_rounds_wait_for_is_tried_again_soon_however_long_it_was_away(lab, monkeypatch):
    """Otherwise the pause would be longer than a recovery may take; a mistake of ours is not asked that often."""
    Job.objects.all().delete()
    jobs.enqueue(lab.ports, COMBINE_JOB, "1/1", lab.clock())
    monkeypatch.setitem(HANDLERS, COMBINE_JOB, fails(Unavailable("the store does not answer")))
    pauses = []
    for _ in range(jobs.MAX_ATTEMPTS - 2):
        lab.clock.passes(pauses[-1] if pauses else 0)
        assert lanes.do_one(lab.ports, "")
        pauses.append((Job.objects.get().run_at - lab.clock()).total_seconds())
    assert pauses == [0.5, 1, 2, 4, 5, 5, 5, 5]

    monkeypatch.setitem(HANDLERS, COMBINE_JOB, fails(ValueError("a bug")))
    lab.clock.passes(5)
    assert lanes.do_one(lab.ports, "")
    assert (Job.objects.get().run_at - lab.clock()).total_seconds() == jobs.MAX_BACKOFF_S


class Blocking:
    """Stands in for the table of jobs: each lasts until it is let go."""

    def __init__(self, count):
        self.waiting, self.running, self.let_go = SimpleQueue(), SimpleQueue(), threading.Event()
        for number in range(count):
            self.waiting.put(number)

    def do_one(self, _ports, _owner, *, taken, **_claims):
        try:
            number = self.waiting.get_nowait()
        except Empty:
            return False
        with taken():
            self.running.put(number)
            self.let_go.wait(10)
        return True


@pytest.fixture
def blocking(monkeypatch):
    """Has lanes do so many of such jobs, and be idle for long after a moment."""

    def made(count):
        work = Blocking(count)
        monkeypatch.setattr(lanes, "do_one", work.do_one)
        monkeypatch.setattr(lanes, "IDLE_S", 0.05)
        monkeypatch.setattr(jobs, "is_due", lambda *_args, **_claims: not work.waiting.empty())
        monkeypatch.setattr(jobs, "next_due_at", lambda *_args, **_claims: None)
        return work

    return made


def test_a_lane_has_a_thread_for_each_job_up_to_a_limit_and_none_too_many(ports, blocking):
    work, stop = blocking(9), threading.Event()
    lane = Lane(ports, stop, "", LaneSpec("endless", {"kind__in": ENDLESS}, 1, 8, jobs.LONG_SUBJECT))
    lane.wake()
    assert {work.running.get(timeout=10) for _ in range(8)} == set(range(8))
    with pytest.raises(Empty):
        work.running.get(timeout=0.1)

    work.let_go.set()
    assert work.running.get(timeout=10) == 8
    for _ in range(200):
        if lane._threads == 1:
            break
        stop.wait(0.05)
    assert lane._threads == lane._free == 1
    stop.set()


def test_a_lane_has_no_thread_but_while_there_is_something_to_do(ports, blocking):
    work, stop = blocking(0), threading.Event()
    lane = Lane(ports, stop, "", LaneSpec("slow", {"kind__in": SLOW}))
    (watch,) = Watch.over([Lane(ports, stop, "", LaneSpec("quick", {}, least=1)), lane])
    watch.start()
    assert watch.lanes == [lane]
    assert lane.is_asleep

    for number in range(2):
        work.let_go.clear()
        work.waiting.put(number)
        assert work.running.get(timeout=10) == number
        assert not lane.is_asleep
        work.let_go.set()
        until_asleep(lane)
    stop.set()


def test_what_comes_while_a_lane_falls_asleep_is_done(ports, blocking, monkeypatch):
    work, stop = blocking(0), threading.Event()
    lane = Lane(ports, stop, "", LaneSpec("slow", {"kind__in": SLOW}))
    falls_asleep = lane._is_too_many

    def too_late():
        is_asleep = falls_asleep()
        if is_asleep and not work.let_go.is_set():
            work.waiting.put(7)
            work.let_go.set()
        return is_asleep

    monkeypatch.setattr(Lane, "_is_too_many", lambda _: too_late())

    lane.wake()  # and no watch there to do it once more

    assert work.running.get(timeout=10) == 7
    until_asleep(lane)
    stop.set()


@contextlib.contextmanager
def no_threads():
    """The system gives none, as where there are too many already: none has room for so large a stack."""
    before = threading.stack_size(1 << 60)
    try:
        yield
    finally:
        threading.stack_size(before)


def test_a_lane_that_got_no_thread_is_asleep_until_it_gets_one(ports, blocking):
    work, stop = blocking(1), threading.Event()
    lane = Lane(ports, stop, "", LaneSpec("slow", {"kind__in": SLOW}))

    with no_threads(), pytest.raises(Unavailable, match="no thread for the jobs of 'slow'"):
        lane.wake()
    assert lane.is_asleep

    lane.wake()
    assert work.running.get(timeout=10) == 0
    stop.set()
    work.let_go.set()


def test_jobs_are_done_one_by_one_where_there_is_no_second_thread(ports, blocking):
    work, stop = blocking(0), threading.Event()
    work.let_go.set()
    lane = Lane(ports, stop, "", LaneSpec("long", {"kind__in": LONG}, least=1, most=2))
    lane.wake()

    with no_threads():
        for number in range(2):
            work.waiting.put(number)
            assert work.running.get(timeout=10) == number
    stop.set()

    assert lane._threads == 1


def until_asleep(lane):
    for _ in range(200):
        if lane.is_asleep:
            return
        threading.Event().wait(0.05)
    raise TimeoutError


def test_what_never_ends_makes_way_where_it_had_to_wait(clock):
    job = Job(run_at=clock())
    assert jobs.turns_of(job, clock(), 20) == 20
    clock.passes(2)
    assert jobs.turns_of(job, clock(), 20) == 1


def test_no_job_is_without_a_lane(ports):
    specs = lanes.lanes_of(ports)
    kinds = [set(spec.claims.get("kind__in", ())) for spec in specs]
    assert sum(len(each) for each in kinds) == len(set().union(*kinds)), "no job is in two lanes"
    assert specs[0].claims["without"] >= set().union(*kinds)
    assert {CHANGED_JOB, PULSE_JOB} <= set().union(*kinds)


@pytest.mark.parametrize(
    ("subject", "looks"), [("jobs.retain", True), ("jobs.combine", False), ("jobs", True), ("streams", True)]
)
def test_a_lane_looks_only_when_there_may_be_something_for_it(ports, subject, looks):
    lane = Lane(ports, threading.Event(), "", LaneSpec("slow", {"kind__in": SLOW}))

    assert lane.concerns(subject) is looks


def test_a_lane_whose_bus_is_away_does_its_jobs_and_asks_for_it_again(monkeypatch):
    stop, subscribed, looked = threading.Event(), [], []

    class Bus:
        def subscribe(self, subject):
            subscribed.append(subject)
            if len(subscribed) == 1:
                raise BusUnavailable
            stop.set()
            return SimpleNamespace(close=lambda: subscribed.append("closed"))

    def looks(*_args, **_claims):
        looked.append(len(subscribed))
        return False

    monkeypatch.setattr(lanes, "do_one", looks)
    monkeypatch.setattr(stop, "wait", lambda _: False)
    monkeypatch.setattr(lanes, "close_old_connections", lambda: None)
    monkeypatch.setattr(jobs, "next_due_at", lambda *_, **__: None)

    Lane(SimpleNamespace(bus=Bus()), stop, "", LaneSpec("slow", {})).run()

    assert subscribed == [jobs.SUBJECT, jobs.SUBJECT, "closed"]
    assert looked == [1]
