"""Deleting a project promises the removal of its blobs, however its process ends."""

import pytest
from tests.factories import Study

from foedus.records.shell.models import Job
from foedus.server.work import HANDLERS
from foedus.services.learning.projects import delete_project
from foedus.services.shell import jobs

pytestmark = pytest.mark.django_db(transaction=True)


def test_the_blobs_go_with_the_job_and_those_of_others_stay(ports, clock):
    study, other = Study.create(ports, clock), Study.create(ports, clock, "other")
    delete_project(ports, study.operator, "study", now=clock())
    ports.blobs.put("projects/9999/x", b"of another")
    before = [blob.key for blob in ports.blobs.list()]
    job = jobs.claim(clock(), kind="delete-blobs")

    HANDLERS[job.kind](ports, job, now=clock())

    gone = set(before) - {blob.key for blob in ports.blobs.list()}
    assert gone == {key for key in before if key.startswith(job.payload["prefixes"][0])} != set()
    assert not Job.objects.filter(kind="delete-blobs").exists()
    assert other.next(other.join("a"))


def test_a_job_half_done_by_a_dead_worker_is_finished_by_the_next(ports, clock):
    study = Study.create(ports, clock)
    delete_project(ports, study.operator, "study", now=clock())
    jobs.claim(clock(), kind="delete-blobs")
    ports.blobs.delete(next(iter(ports.blobs.list())).key)

    job = jobs.claim(clock.passes(60), kind="delete-blobs")
    HANDLERS[job.kind](ports, job, now=clock())

    assert not list(ports.blobs.list())
