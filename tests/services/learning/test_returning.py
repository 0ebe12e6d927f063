"""Participants that declined a round, and begin anew."""

import pytest
from tests.factories import Study, model

from foedus.core.rounds import Phase
from foedus.records.learning.models import Invitation, Round, Update
from foedus.services.learning.projects import Rule
from foedus.services.learning.returning import MAX_TAKEN_BACK
from foedus.services.learning.tasks import Asking, Idle, Train, decline, next_tasks

pytestmark = pytest.mark.django_db(transaction=True)

PAIR = Rule(name="quorum", options={"minimum": 2, "rounds": 2, "deadline_s": 60})


@pytest.fixture
def study(ports, clock):
    return Study.create(ports, clock, policy=PAIR)


def begin(study, who):
    (answer,) = next_tasks(study.ports, [Asking(who, study.key, evaluates=False, anew=True)], now=study.clock())
    return answer.task


def begin_round(study):
    a, b = study.join_all("a", "b")
    study.next(a), study.next(b)
    return a, b


def test_who_declined_and_begins_anew_is_given_the_round_again_and_counts_once(study, clock):
    a, b = begin_round(study)
    decline(study.ports, b, "study", 1, "ValueError", now=clock())
    study.submit(a, 1, model(1.0))

    before, after = study.next(b), begin(study, b)
    study.submit(b, 1, model(3.0))

    current = Round.objects.get(number=1)
    assert isinstance(before, Idle)
    assert isinstance(after, Train)
    assert (current.phase, current.lost_count, current.reported_count) == (Phase.COMBINING, 0, 2)
    assert Update.objects.filter(round=current).count() == 2


def test_who_handed_in_has_nothing_to_take_back(study):
    a, _ = begin_round(study)
    study.submit(a, 1, model(1.0))

    assert isinstance(begin(study, a), Idle)
    assert Invitation.objects.get(membership__participant=a.id).state == Invitation.State.REPORTED


def test_a_place_that_another_took_is_not_given_twice(study, clock):
    _, b = begin_round(study)
    (c,) = study.join_all("c")
    study.next(c)
    decline(study.ports, b, "study", 1, "ValueError", now=clock())

    assert isinstance(study.next(c), Train)
    assert isinstance(begin(study, b), Idle)


def test_a_participant_that_fails_for_ever_is_no_longer_asked(study, clock):
    _, b = begin_round(study)

    tries = 0
    while isinstance(begin(study, b), Train):
        tries += 1
        decline(study.ports, b, "study", 1, "ValueError", now=clock())

    assert tries == MAX_TAKEN_BACK + 1
