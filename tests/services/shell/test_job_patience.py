"""What waits for something that does not answer is tried again, ever later, and not for ever."""

import json
from datetime import timedelta

import pytest
from tests.services.statistics.conftest import Lab

from foedus.core.errors import Unavailable
from foedus.records.shell.models import Job
from foedus.records.statistics.models import StatisticsJob
from foedus.server import lanes, work
from foedus.services.shell import jobs
from foedus.services.statistics import jobs as statistics_jobs
from foedus.services.statistics import running


@pytest.fixture
def lab(ports, clock, transactional_db, monkeypatch):
    monkeypatch.setattr(lanes, "_now", clock)
    return Lab(ports, clock)


@pytest.fixture
def waiting(lab):
    """A job of a customer that waits."""
    return statistics_jobs.submit(lab.ports, lab.customer, "vif", payload={"queries": []}, now=lab.clock())


def down(*_args, **_more):
    raise Unavailable("the store does not answer")


def test_a_job_is_given_up_with_its_reason_after_waits_that_grow(lab, clock, waiting, monkeypatch):
    monkeypatch.setitem(running.RUNNERS, "vif", down)
    waits = []
    while (job := Job.objects.filter(state=Job.State.QUEUED).first()) is not None:
        waits.append((job.run_at - clock()).total_seconds())
        clock.now = max(clock(), job.run_at) + timedelta(milliseconds=1)
        assert lanes.do_one(lab.ports, owner="")
        row = StatisticsJob.objects.get()
        assert row.error["text"] if row.state == "running" else "given up" in row.error["text"]

    assert len(waits) == work.PATIENCE[statistics_jobs.RUN_JOB]
    assert waits == sorted(waits)
    assert max(waits) <= jobs.MAX_BACKOFF_S
    assert row.state == StatisticsJob.State.FAILED
    assert row.error["text"] == "given up after 10 attempts: the store does not answer; submit it again"
    assert Job.objects.get().state == Job.State.FAILED


def test_one_that_is_answered_in_the_end_is_done_and_says_nothing_of_its_waits(lab, clock, waiting, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setitem(running.RUNNERS, "vif", down)
        lanes.do_one(lab.ports, owner="")
    monkeypatch.setitem(running.RUNNERS, "vif", running._nothing)
    clock.passes(60)

    lanes.do_one(lab.ports, owner="")

    row = StatisticsJob.objects.get()
    assert (row.state, row.error, json.loads(row.result)) == ("done", None, {})


def test_a_job_without_a_body_is_ended_while_it_waits(lab, clock, waiting):
    assert statistics_jobs.kill(lab.ports, lab.customer, waiting.pk, now=clock())
    assert StatisticsJob.objects.get().state == StatisticsJob.State.KILLED
