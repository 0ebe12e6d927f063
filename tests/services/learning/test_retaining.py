"""What a project keeps of its past, and what it does not."""

import pytest
from tests.factories import Study, model
from tests.services.learning.test_evaluating import ALONE, train
from tests.services.learning.test_rounds import work

from foedus.records.learning.models import Checkpoint, Update
from foedus.records.shell.models import Event
from foedus.services.learning.checkpoints import publish_artifact
from foedus.services.learning.projects import Rule
from foedus.services.learning.tasks import Train

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("bodies")]


def later(ports, clock):
    clock.passes(10)
    work(ports, clock)


def kept(ports):
    rows = Checkpoint.objects.exclude(blob="")
    there = {blob.key for blob in ports.blobs.list("projects/")}
    assert {c.blob for c in rows} | {u.blob for u in Update.objects.exclude(blob="")} == there
    return [c.number for c in rows.order_by("number")]


def study_of(ports, clock, policy=ALONE, **fields):
    study = Study.create(ports, clock, policy=policy, **fields)
    return study, study.join("a")


def test_single_updates_go_once_their_round_is_complete_and_checkpoints_stay(ports, clock):
    study, a = study_of(ports, clock)

    train(study, a, 1.0, 2.0)
    later(ports, clock)

    assert kept(ports) == [0, 1, 2]
    assert list(Update.objects.values_list("blob", "content")) == [("", None), ("", None)]
    assert all(update.digest and update.examples for update in Update.objects.all())


def test_updates_of_the_newest_rounds_or_of_all_may_stay(ports, clock):
    study, a = study_of(ports, clock, retention={"keep_updates": 1})
    other = Study.create(ports, clock, key="other", policy=ALONE, retention={"keep_updates": None})
    b = other.join("b")

    train(study, a, 1.0, 2.0, 3.0)
    train(other, b, 1.0, 2.0, 3.0)
    later(ports, clock)

    with_bytes = Update.objects.exclude(blob="", content=None).values_list("round__project__key", "round__number")
    assert sorted(with_bytes) == [("other", 1), ("other", 2), ("other", 3), ("study", 3)]


def test_checkpoints_stay_by_number_by_merit_by_name_and_because_somebody_trains_from_them(ports, clock):
    retention = {"keep_last": 1, "keep_best": 1, "keep_every": 5}
    best = {"metric": "loss", "mode": "min", "source": "updates"}
    study, a = study_of(ports, clock, retention=retention, best=best)

    for value, loss in ((1.0, 0.9), (2.0, 0.1), (3.0, 0.5), (4.0, 0.4)):
        train(study, a, value, loss=loss)
        if value == 1.0:
            publish_artifact(ports, study.operator, "study", 1, "v1", now=clock())
    later(ports, clock)

    assert kept(ports) == [0, 1, 2, 4]
    dropped = Checkpoint.objects.get(number=3)
    assert dropped.metrics == {"loss": 0.5}
    assert Event.objects.get(kind="checkpoints.dropped").data == {"checkpoints": [3]}


def test_what_a_slow_participant_trains_from_stays_until_it_has_handed_in(ports, clock):
    policy = Rule(name="buffered", options={"buffer": 1, "rounds": None, "heartbeat_timeout_s": 1000})
    study, a = study_of(ports, clock, policy=policy, retention={"keep_last": 1})
    b = study.join("b")
    slow = study.next(b)
    assert isinstance(slow, Train)

    train(study, a, 1.0, 2.0, 3.0)
    later(ports, clock)
    assert kept(ports) == [0, 3]
    study.submit(b, slow.round.number, model(9.0))
    work(ports, clock)
    later(ports, clock)

    assert kept(ports) == [3, 4]  # the other one trains from 3 by now
