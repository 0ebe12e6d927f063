"""How many statements the calls of a round cost. More is allowed, but only on purpose."""

import os

import pytest
from tests import factories
from tests.factories import Study

from foedus.services.learning.combining import combine
from foedus.services.learning.projects import Rule
from foedus.services.learning.submitting import expect_update
from foedus.services.learning.tasks import Idle, next_task
from foedus.services.learning.updates import SubmitUpdate
from foedus.services.shell import jobs

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def study(ports, clock):
    return Study.create(ports, clock, policy=Rule(name="quorum", options={"minimum": 3}))


@pytest.fixture
def invited(study):
    participants = study.join_all("a", "b", "c")
    for participant in participants:
        study.next(participant)
    return participants


def test_those_who_wait_cost_little_until_they_are_told_why(study, clock, django_assert_max_num_queries):
    participant = study.join()
    study.next(participant)

    with django_assert_max_num_queries(2):
        answer = next_task(study.ports, participant, study.key, evaluates=False, explain=False, now=clock())

    assert answer.task == Idle(reasons=())
    assert study.next(participant).reasons


def test_an_update_costs_as_many_statements_in_a_late_round_as_in_the_first(
    study, ports, clock, invited, django_assert_max_num_queries
):
    for number in (1, 2, 3):
        command = SubmitUpdate(project=study.key, round=number, examples=1.0)
        with django_assert_max_num_queries(5):
            expect_update(ports, invited[0], command, "0" * 64, now=clock())
        for participant in invited[:-1]:
            with django_assert_max_num_queries(13):
                study.submit(participant, number, factories.model(float(participant.id)))
        with django_assert_max_num_queries(17):
            study.submit(invited[-1], number, factories.model(0.0))
        with django_assert_max_num_queries(5):
            job = jobs.claim(clock())
        with django_assert_max_num_queries(19):  # one of them promises what retention drops
            combine(ports, job, now=clock())


def test_an_update_is_made_durable_by_one_write_of_its_bytes_and_one_of_their_name(study, invited, monkeypatch):
    synced = []
    fsync = os.fsync
    monkeypatch.setattr(os, "fsync", lambda handle: (synced.append(handle), fsync(handle)))
    study.submit(invited[0], 1, factories.model(1.0))
    first = len(synced)

    study.submit(invited[1], 1, factories.model(2.0))

    assert first <= 3  # with the folder of folders, when it is a new one
    assert len(synced) - first <= 3
