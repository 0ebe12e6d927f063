"""Those who wait for work are kept in view by a sign of life that costs one small transaction."""

import pytest
from django.db import connection
from tests.factories import Study

from foedus.records.learning.models import Membership
from foedus.services.learning.leaving import remove_participant
from foedus.services.learning.projects import Rule
from foedus.services.learning.tasks import Idle, next_task, still_here

pytestmark = pytest.mark.django_db(transaction=True)

TIMEOUT_S = 15.0
STATEMENTS = 4 if connection.vendor == "postgresql" else 3  # with BEGIN and COMMIT; there one more says: do not sync


@pytest.fixture
def study(ports, clock):
    policy = Rule(name="quorum", options={"minimum": 2, "heartbeat_timeout_s": TIMEOUT_S})
    return Study.create(ports, clock, policy=policy)


def waiting(study, participant, clock):
    answer = next_task(study.ports, participant, study.key, evaluates=False, now=clock())
    assert isinstance(answer.task, Idle)
    return answer


def test_who_says_so_every_heartbeat_stays_connected(study, clock, django_assert_num_queries):
    early, late = study.join_all("early", "late")
    answer = waiting(study, early, clock)
    for _ in range(5):
        clock.passes(answer.heartbeat_s)
        with django_assert_num_queries(STATEMENTS):
            assert still_here([answer], now=clock()) == [True]

    study.next(late)

    assert not isinstance(study.next(early), Idle)


def test_who_was_away_for_long_has_to_ask_anew(study, clock):
    answer = waiting(study, study.join(), clock)
    seen_at = Membership.objects.get().seen_at

    assert still_here([answer], now=clock.passes(TIMEOUT_S)) == [False]

    assert Membership.objects.get().seen_at == seen_at


def test_who_was_removed_has_to_ask_anew_and_the_others_need_not(study, ports, clock):
    participant = study.join("gone")
    answer = waiting(study, participant, clock)
    remove_participant(ports, study.operator, study.key, participant.id, now=clock())
    other = waiting(study, study.join("there"), clock)

    assert still_here([other, answer, other], now=clock.passes(1)) == [True, False, True]
