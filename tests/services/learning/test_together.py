"""Updates that arrive together are counted in one transaction, and as if each had come alone."""

from contextlib import ExitStack
from dataclasses import replace

import numpy as np
import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from tests import factories
from tests.factories import Study
from tests.services.learning.test_rounds import work

from foedus.core.codecs import safetensors
from foedus.core.errors import Invalid, Late, NotFound, Replayed, Unavailable
from foedus.records.learning.models import Checkpoint, Round, Update
from foedus.records.shell.models import Event
from foedus.services.learning import submitting, updates
from foedus.services.learning.leaving import remove_participant
from foedus.services.learning.projects import Rule
from foedus.services.learning.submitting import HandIn, submit_updates
from foedus.services.learning.updates import SubmitUpdate
from foedus.services.shell.staging import held, staged

pytestmark = pytest.mark.django_db(transaction=True)
NAMES = ("a", "b", "c", "d", "e")


def begun(ports, clock, minimum=5, names=NAMES, **options):
    study = Study.create(ports, clock, policy=Rule(name="quorum", options={"minimum": minimum, **options}))
    people = study.join_all(*names)
    for person in people:
        study.next(person)
    return study, people


def hand_in(study, person, value, number=1, **fields):
    command = SubmitUpdate(project=study.key, round=number, examples=1.0, **fields)
    return HandIn(person, command, held(factories.body(factories.model(value)), None))


def kinds(outcomes):
    return [type(o) if isinstance(o, Exception) else o[1] for o in outcomes]


@pytest.mark.usefixtures("bodies")
def test_a_whole_round_at_once_is_the_mean_of_all(ports, clock):
    study, people = begun(ports, clock)

    outcomes = submit_updates(ports, [hand_in(study, p, i) for i, p in enumerate(people)], now=clock())
    work(ports, clock)

    assert kinds(outcomes) == [True] * 5
    assert [row.pk for row, _ in outcomes] == list(Update.objects.order_by("pk").values_list("pk", flat=True))
    result = b"".join(ports.blobs.read(Checkpoint.objects.get(number=1).blob))
    np.testing.assert_array_equal(safetensors.decode(result)["weight"], np.full((2, 3), 2.0, np.float32))
    events = Event.objects.filter(kind="update.accepted").order_by("seq")
    assert [e.data["participant"] for e in events] == list(NAMES)


def test_what_is_refused_once_it_was_written_is_taken_back(ports, clock, monkeypatch):
    study = Study.create(ports, clock, policy=Rule(name="buffered", options={"buffer": 3}))
    a, _ = study.join_all("a", "b")
    study.next(a)

    def fail(*_, **__):
        raise Unavailable

    with monkeypatch.context() as failing:
        failing.setattr(updates, "advance", fail)
        outcomes = submit_updates(ports, [hand_in(study, a, 1)], now=clock())

    assert kinds(outcomes) == [Unavailable]
    assert not Update.objects.exists()
    assert kinds(submit_updates(ports, [hand_in(study, a, 1)], now=clock())) == [True]


def test_each_has_its_own_answer_and_a_refused_one_concerns_nobody_else(ports, clock):
    study, (a, b, c, d, e) = begun(ports, clock)
    other = Study.create(ports, clock, key="other").join("x")
    remove_participant(ports, study.operator, study.key, e.id, now=clock())

    outcomes = submit_updates(
        ports,
        [
            hand_in(study, a, 1),
            hand_in(study, a, 1),
            hand_in(study, a, 2),
            hand_in(study, b, np.nan),
            hand_in(study, c, 3, number=9),
            hand_in(study, other, 4),
            hand_in(study, e, 5),
            hand_in(study, d, 6),
        ],
        now=clock(),
    )

    assert kinds(outcomes) == [True, False, Replayed, Invalid, NotFound, NotFound, NotFound, True]
    assert outcomes[0][0].pk == outcomes[1][0].pk
    assert Update.objects.count() == 2
    assert Round.objects.get(project__key=study.key).reported_count == 2


def test_what_was_counted_before_something_broke_keeps_its_body(ports, clock, monkeypatch):
    study, people = begun(ports, clock, minimum=2, names=("a", "b"))
    monkeypatch.setattr(submitting, "MAX_HELD_BYTES", 0)
    real = submitting._recorded

    def breaks(ports, offered, now):
        outcomes = real(ports, offered, now)
        if len(offered) > 1:
            raise RuntimeError("once all was committed")
        return outcomes

    monkeypatch.setattr(submitting, "_recorded", breaks)
    with ExitStack() as stack:
        bodies = [
            stack.enter_context(staged(ports.scratch, [data], len(data)))
            for data in (factories.body(factories.model(value)) for value in (1, 2))
        ]
        offered = [replace(hand_in(study, p, 0), body=body) for p, body in zip(people, bodies, strict=True)]
        outcomes = submit_updates(ports, offered, now=clock())

    assert kinds(outcomes) == [False, False]
    assert all(b"".join(ports.blobs.read(update.blob)) for update in Update.objects.all())


def test_a_bug_that_one_body_wakes_is_the_answer_to_that_one(ports, clock, monkeypatch):
    study, people = begun(ports, clock, minimum=3, names=("a", "b", "c"))
    real, bad = submitting.check_update, hand_in(study, people[1], 2)

    def check(body, wanted, extremes):
        if body is bad.body:
            raise KeyError("nobody foresaw it")
        real(body, wanted, extremes)

    monkeypatch.setattr(submitting, "check_update", check)
    handed_in = [hand_in(study, people[0], 1), bad, hand_in(study, people[2], 3)]

    assert kinds(submit_updates(ports, handed_in, now=clock())) == [True, KeyError, True]
    assert Update.objects.count() == 2


def test_a_body_that_cannot_be_taken_back_is_nobody_elses_affair(ports, clock, monkeypatch):
    study, people = begun(ports, clock, minimum=3, names=("a", "b", "c"))

    def fail(_ports, body):
        raise RuntimeError(body.digest)

    monkeypatch.setattr(submitting, "_forget", fail)
    handed_in = [hand_in(study, people[0], 1), hand_in(study, people[1], 2, number=9), hand_in(study, people[2], 3)]

    assert kinds(submit_updates(ports, handed_in, now=clock())) == [True, RuntimeError, True]


def test_what_comes_after_the_round_has_enough_is_late_in_the_same_transaction_too(ports, clock):
    study, people = begun(ports, clock, minimum=2, names=("a", "b", "c", "d"))

    outcomes = submit_updates(ports, [hand_in(study, p, i) for i, p in enumerate(people)], now=clock())

    assert kinds(outcomes) == [True, True, Late, Late]


def test_more_at_once_cost_two_statements_each(ports, clock):
    study, people = begun(ports, clock, minimum=7, names=(*NAMES, "f", "g"))

    with CaptureQueriesContext(connection) as two:
        submit_updates(ports, [hand_in(study, p, 1) for p in people[:2]], now=clock())
    with CaptureQueriesContext(connection) as four:
        submit_updates(ports, [hand_in(study, p, 2) for p in people[2:6]], now=clock())

    assert len(four) <= len(two) + 4
