"""What must not happen to a round when something around it goes wrong."""

import math
from dataclasses import dataclass, replace
from typing import ClassVar

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests import factories
from tests.factories import Study

from foedus.connectors.bus.memory import MemoryBus
from foedus.core.errors import Late
from foedus.core.registry import build
from foedus.records.learning.models import Project, Round, Update
from foedus.services.learning import combining, rules
from foedus.services.learning.clock import tick
from foedus.services.learning.combining import combine
from foedus.services.learning.projects import Rule
from foedus.services.learning.submitting import expect_update
from foedus.services.learning.updates import SubmitUpdate
from foedus.services.shell import jobs

pytestmark = pytest.mark.django_db(transaction=True)

LARGEST = 1.7976931348623157e308


class Told(BaseException):
    """The process is told to end."""


class EndingBus(MemoryBus):
    """A bus on which the process learns, while it publishes, that it has to end."""

    def publish(self, subject, data=b""):
        if "update-accepted" in subject:
            raise Told


class EndingBlobs:
    """A store of which the process learns, once it has stored something, that it has to end."""

    def __init__(self, blobs):
        self._blobs = blobs
        self.local, self.read = blobs.local, blobs.read

    def put_file(self, key, path):
        self._blobs.put_file(key, path)
        raise Told


@dataclass(frozen=True, slots=True, kw_only=True)
class Confused:
    """A policy with a mistake in it."""

    absent_after_s: ClassVar[float] = 15.0
    invites: ClassVar[bool] = True
    open_ended: ClassVar[bool] = False

    def decide(self, view, now):
        raise ZeroDivisionError("one by nothing")


@pytest.fixture
def registered(monkeypatch):
    """Puts something behind a name, as another package's entry point would."""

    def register(name, kind):
        monkeypatch.setattr(
            rules, "build", lambda group, wanted, options: kind() if wanted == name else build(group, wanted, options)
        )
        rules._built.cache_clear()

    yield register
    monkeypatch.undo()
    rules._built.cache_clear()


def full_round(study, names="ab", **metrics):
    parties = study.join_all(*names)
    for party in parties:
        study.next(party)
    for number, party in enumerate(parties, 1):
        study.submit(party, 1, factories.model(float(number)), examples=number, **metrics)
    return parties


def test_an_update_that_was_counted_keeps_its_bytes_though_its_call_broke(ports, clock, bodies):
    study = Study.create(ports, clock)
    party = study.join()
    study.next(party)
    broken = replace(study, ports=replace(ports, bus=EndingBus()))

    with pytest.raises(Told):
        broken.submit(party, 1, factories.model(1.0))

    row = Update.objects.get()
    kept = row.content if bodies == "rows" else b"".join(ports.blobs.read(row.blob))
    assert len(kept) == row.size_bytes


def test_metrics_near_the_largest_float_do_not_stop_a_round(ports, clock):
    study = Study.create(ports, clock, policy=Rule(name="quorum", options={"minimum": 2, "rounds": 1}))
    parties = study.join_all("a", "b")
    for party in parties:
        study.next(party)
    for party, loss in zip(parties, (LARGEST, LARGEST), strict=True):
        study.submit(party, 1, factories.model(loss > 0), examples=1e12, loss=loss)

    combine(ports, jobs.claim(clock()), now=clock())

    assert Project.objects.get().checkpoints.get(number=1).metrics == {"loss": LARGEST}


@dataclass
class Weighed:
    metrics: dict
    examples: float


reports = st.builds(
    Weighed,
    st.fixed_dictionaries({"loss": st.floats(allow_nan=False, allow_infinity=False)}),
    st.floats(min_value=1e-300, max_value=1e12),
)


@given(st.lists(reports, min_size=1, max_size=6), st.randoms())
def test_a_mean_of_metrics_lies_between_them_in_whatever_order_they_come(updates, random):
    mean = combining.metrics_of(updates)["loss"]
    random.shuffle(updates)

    assert combining.metrics_of(updates)["loss"] == mean
    assert min(u.metrics["loss"] for u in updates) <= mean <= max(u.metrics["loss"] for u in updates)


def test_means_of_metrics_weigh_examples_and_skip_who_did_not_report():
    updates = [Weighed({"loss": 1.0}, 1.0), Weighed({"loss": 4.0, "f1": 0.5}, 3.0), Weighed({}, 9.0)]

    assert combining.metrics_of(updates) == {"f1": 0.5, "loss": pytest.approx(3.25)}
    assert math.isfinite(combining.metrics_of(updates)["loss"])


def test_a_policy_with_a_mistake_does_not_hold_up_other_projects(ports, clock, registered):
    for key in ("first", "second"):
        study = Study.create(ports, clock, key=key, policy=Rule(name="quorum", options={"deadline_s": 60}))
        study.next(study.join())
    Round.objects.filter(project__key="first").update(policy={"name": "confused", "options": {}})
    registered("confused", Confused)

    assert tick(ports, now=clock.passes(120)) == 2

    phases = Round.objects.filter(number=1).order_by("project__key").values_list("phase", flat=True)
    assert list(phases) == ["collecting", "invalid"]


def test_a_crash_before_the_switch_leaves_one_checkpoint_behind_and_not_two(ports, clock):
    study = Study.create(ports, clock, policy=Rule(name="quorum", options={"minimum": 2, "rounds": 1}))
    full_round(study)
    with pytest.raises(Told):
        combine(replace(ports, blobs=EndingBlobs(ports.blobs)), jobs.claim(clock()), now=clock())

    combine(ports, jobs.claim(clock.passes(60)), now=clock())

    assert Project.objects.get().checkpoints.count() == 2
    assert len([blob for blob in ports.blobs.list() if "/checkpoints/" in blob.key]) == 2


def test_who_is_told_to_be_late_before_its_body_is_read_gets_another_task(ports, clock):
    """Otherwise it would be given the same task again, for ever."""
    policy = Rule(name="buffered", options={"buffer": 1, "concurrency": 2, "max_staleness": 0})
    study = Study.create(ports, clock, policy=policy)
    slow, quick = study.join_all("slow", "quick")
    task, other = study.next(slow), study.next(quick)
    study.submit(quick, other.round.number, factories.model(1.0))
    combine(ports, jobs.claim(clock()), now=clock())

    with pytest.raises(Late):
        expect_update(
            ports, slow, SubmitUpdate(project=study.key, round=task.round.number, examples=1.0), None, now=clock()
        )

    assert study.next(slow).round.number > task.round.number
