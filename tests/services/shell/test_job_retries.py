"""Jobs that were given up are queued again by superusers, and the trail knows."""

import pytest

from foedus.core.errors import Forbidden
from foedus.records.shell.models import AuditEntry, Job
from foedus.services.shell import jobs
from foedus.services.shell.authorisation import Actor, Kind

pytestmark = pytest.mark.django_db


@pytest.fixture
def job(ports, clock):
    jobs.enqueue(ports, "combine", "1/1", clock())
    Job.objects.update(state="failed")
    return Job.objects.get()


def test_a_superuser_queues_a_job_again_and_the_trail_knows_it_once(ports, clock, job):
    root = Actor(Kind.OPERATOR, 1, "root", None, superuser=True)

    for _ in range(2):
        jobs.retry(ports, root, job, now=clock())

    assert Job.objects.get().state == "queued"
    assert [(e.actor, e.verb, e.object) for e in AuditEntry.objects.all()] == [
        ("operator:root", "retry", f"job:{job.pk}")
    ]


def test_a_retry_that_lies_in_the_future_of_a_clock_that_was_set_back_is_due_at_once(ports, clock):
    jobs.enqueue(ports, "combine", "1/1", clock())
    jobs.postpone(jobs.claim(clock()), "no disk", clock())
    clock.passes(-60)
    assert jobs.claim(clock()) is None

    jobs.set_right(ports, clock())

    assert jobs.claim(clock()) is not None


@pytest.mark.parametrize("kind", [Kind.OPERATOR, Kind.PARTICIPANT])
def test_nobody_else_does(ports, clock, job, kind):
    with pytest.raises(Forbidden, match="superusers"):
        jobs.retry(ports, Actor(kind, 1, "a", 1), job, now=clock())

    assert Job.objects.get().state == "failed"
