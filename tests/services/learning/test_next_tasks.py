"""Those whom a round wakes are told their tasks in few questions, and the same as if each had asked."""

import pytest
from tests.factories import Study

from foedus.core.errors import NotFound
from foedus.services.learning.leaving import remove_participant
from foedus.services.learning.projects import ChangeProject, Rule, change_project
from foedus.services.learning.tasks import Asking, Idle, Train, next_task, next_tasks

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def study(ports, clock):
    return Study.create(ports, clock, policy=Rule(name="quorum", options={"minimum": 4}))


@pytest.fixture
def woken(study, clock):
    """Three who waited for the fourth, whose coming has begun the round."""
    people = study.join_all("a", "b", "c", "d")
    waiting = []
    for person in people[:3]:
        answer = next_task(study.ports, person, study.key, evaluates=False, explain=False, now=clock())
        assert isinstance(answer.task, Idle)
        waiting.append(Asking(person, study.key, evaluates=False, explain=False))
    study.next(people[3])
    return waiting


def test_a_hundred_cost_as_many_statements_as_one(study, clock, woken, django_assert_max_num_queries):
    with django_assert_max_num_queries(5):
        answers = next_tasks(study.ports, woken * 20, now=clock())

    assert len(answers) == 60
    assert all(isinstance(answer.task, Train) for answer in answers)


def test_each_is_told_what_it_would_be_told_alone(study, clock, woken):
    clock.passes(1)

    answers = next_tasks(study.ports, woken, now=clock())

    for one, answer in zip(woken, answers, strict=True):
        alone = next_task(study.ports, one.actor, study.key, evaluates=False, explain=False, now=clock())
        assert (answer.task, answer.membership, answer.heartbeat_s) == (alone.task, alone.membership, alone.heartbeat_s)
        assert answer.equipment == alone.equipment


def test_who_was_removed_is_told_so_and_the_others_go_on(study, clock, woken):
    remove_participant(study.ports, study.operator, study.key, woken[1].actor.id, now=clock())

    first, second, third = next_tasks(study.ports, woken, now=clock())

    assert isinstance(second, NotFound)
    assert isinstance(first.task, Train)
    assert isinstance(third.task, Train)


def test_nobody_works_for_a_project_that_was_paused(study, clock, woken):
    change_project(study.ports, study.operator, study.key, ChangeProject(state="paused"), now=clock())

    assert {type(answer.task) for answer in next_tasks(study.ports, woken, now=clock())} == {Idle}


def test_those_who_come_back_together_cost_as_much_as_one_and_begin_the_round(
    study, clock, django_assert_max_num_queries
):
    people = study.join_all("a", "b", "c", "d")
    asking = [Asking(person, study.key, evaluates=False, explain=False) for person in people]

    with django_assert_max_num_queries(50):  # one look at the project and the beginning of its first round
        answers = next_tasks(study.ports, asking * 15, now=clock())

    assert all(isinstance(answer.task, Train) for answer in answers)
