"""A worker that is started again goes on with its own jobs at once, and leaves those of others alone."""

from datetime import timedelta

import pytest

from foedus.records.shell.models import Job
from foedus.services.shell import jobs

pytestmark = pytest.mark.django_db


def test_a_restarted_worker_takes_up_what_it_held(ports, clock):
    me = jobs.owner_of("host:/data")
    jobs.enqueue(ports, "combine", "1/1", clock())
    held = jobs.claim(clock(), me)

    jobs.release(me, clock())

    assert jobs.claim(clock(), me).pk == held.pk
    assert not jobs.renew(held, clock())  # should the first one live after all, it finds out


def test_a_restarted_worker_leaves_the_jobs_of_others_to_them(ports, clock):
    jobs.enqueue(ports, "combine", "1/1", clock())
    held = jobs.claim(clock(), jobs.owner_of("another host:/data"))

    jobs.release(jobs.owner_of("host:/data"), clock())
    jobs.release(jobs.owner_of(""), clock())

    assert jobs.renew(held, clock())


def test_the_lease_of_a_worker_that_never_comes_back_lapses(ports, clock):
    jobs.enqueue(ports, "combine", "1/1", clock())
    jobs.claim(clock())

    assert jobs.claim(clock()) is None
    assert jobs.claim(clock.passes(jobs.LEASE.total_seconds() + 0.1)) is not None
    assert Job.objects.get().attempts == 2


def test_no_two_leases_look_alike(ports, clock):
    owner = jobs.owner_of("host:/data")
    jobs.enqueue(ports, "combine", "1/1", clock())
    first = jobs.claim(clock(), owner)

    second = jobs.claim(clock() + timedelta(minutes=1), owner)

    assert first.lease_token != second.lease_token
    assert len(second.lease_token) == 32
