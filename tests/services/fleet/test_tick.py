"""The tick: what time changes, what is forgotten, and what it says of each project."""

from datetime import timedelta

import numpy as np
import pytest
from tests.fleets import Fleet, weights

from foedus.core.codecs import cifar
from foedus.core.errors import Invalid
from foedus.core.fleet.keys import TEST_KEY
from foedus.core.fleet.layouts import fleet_model
from foedus.records.fleet.models import QuestionnaireRun, StatusReport, Submission
from foedus.records.learning.models import Checkpoint, Round
from foedus.records.shell.models import Event, Job
from foedus.server.work import Clockwork
from foedus.services.fleet import objects
from foedus.services.fleet.options import FleetOptions
from foedus.services.fleet.status import RoundStatus, Status
from foedus.services.fleet.tick import tick

pytestmark = pytest.mark.django_db(transaction=True)

OPTIONS = FleetOptions()


@pytest.fixture
def fleet(ports, clock):
    return Fleet.create(ports, clock)


def test_it_says_where_each_project_stands(fleet, ports, clock):
    fleet.say()
    fleet.train(0, 0, weights())
    clock.passes(61)

    (report,) = tick(ports, OPTIONS, now=clock()).projects

    assert (report.id, report.title, report.status) == (fleet.pk, fleet.row.title, Status.IN_PROGRESS)
    assert (report.round, report.round_status) == (0, RoundStatus.TRAINING)
    assert (report.assigned, report.ready, report.invited, report.reported) == (4, 4, 4, 1)
    assert report.minutes_left == 58
    assert report.reasons[0].code == "awaiting_updates"
    assert report.happened == ()


def test_it_says_what_it_did(fleet, ports, clock):
    fleet.say()
    clock.passes(3600)

    (report,) = tick(ports, OPTIONS, now=clock()).projects

    assert [kind for kind, _ in report.happened if kind.startswith("round.")] == ["round.invalid", "round.opened"]
    assert (report.round, report.round_status, report.minutes_left) == (1, RoundStatus.WAIT, None)


def test_ticking_again_changes_nothing_more(fleet, ports, clock):
    fleet.say()
    clock.passes(3600)
    tick(ports, OPTIONS, now=clock())
    events = Event.objects.count()

    tick(ports, OPTIONS, now=clock())

    assert Event.objects.count() == events


def test_a_broken_project_does_not_starve_those_after_it(ports, clock):
    broken, sound = Fleet.create(ports, clock), Fleet.create(ports, clock)
    sound.say()
    clock.passes(3600)
    Round.objects.filter(project=broken.pk).update(policy={"name": "gone", "options": {}})

    first, second = tick(ports, OPTIONS, now=clock()).projects

    assert "gone" in first.error
    assert second.error == ""
    assert sound.phases() == ["invalid", "waiting"]


def test_stopped_and_completed_projects_are_left_alone(fleet, ports, clock):
    fleet.say()
    fleet.change(status="Stopped")
    clock.passes(3600)

    assert tick(ports, OPTIONS, now=clock()).projects == ()
    assert fleet.phases() == ["collecting"]


def test_old_reports_and_uploads_are_forgotten_and_what_came_of_them_stays(fleet, ports, clock):
    fleet.say()
    for place in range(4):
        fleet.train(place, 0, weights(place))
    fleet.work()
    clock.passes(7 * 86_400 + 1)
    tick(ports, OPTIONS, now=clock())

    assert not Submission.objects.exclude(blob="").exists()
    assert not list(ports.blobs.list(f"projects/{fleet.pk}/submissions/"))
    assert StatusReport.objects.exists()
    assert fleet.model(1)[0] == 1.5
    fleet.upload(0, 0, weights(0))

    clock.passes(30 * 86_400)
    tick(ports, OPTIONS, now=clock())
    assert not StatusReport.objects.exists()


def test_what_is_not_old_is_kept(fleet, ports, clock):
    fleet.say()
    for place in range(4):
        fleet.train(place, 0, weights(place))
    fleet.work()
    clock.passes(7 * 86_400 - 60)

    assert tick(ports, OPTIONS, now=clock()).forgotten == 0
    assert Submission.objects.exclude(blob="").count() == 4


def test_there_are_no_questionnaires_unless_hours_are_set(fleet, ports, clock):
    tick(ports, OPTIONS, now=clock())

    assert not Job.objects.exists()


def test_questionnaires_go_to_everybody_once_a_day_for_hours_of_their_own_clocks(fleet, ports, clock):
    options = FleetOptions(
        questionnaire_hours=("10:00", "18:00"), questionnaire_title="Hello", questionnaire_text="How?"
    )
    clock.passes(-7 * 3600)
    tick(ports, options, now=clock())
    assert ports.push.sent == []
    clock.passes(7 * 3600)

    for _ in range(3):
        tick(ports, options, now=clock())
        fleet.work()

    first, second = ports.push.sent
    assert sorted(first.recipients) == sorted(device.user.username for device in fleet.devices)
    assert (first.title, first.text, first.data, first.ttl_s) == ("Hello", "How?", {}, 86_400)
    assert first.options["send_date"] == f"{clock():%Y-%m-%d} 10:00"
    assert second.options == {"send_date": f"{clock():%Y-%m-%d} 18:00", "ignore_user_timezone": False, "icon": ""}
    clock.passes(86_400)
    tick(ports, options, now=clock())
    assert QuestionnaireRun.objects.count() == 2


@pytest.mark.parametrize(
    "fields",
    [{"questionnaire_hours": ("25:00",)}, {"questionnaire_hours": ("9:00",)}, {"report_days": 0},
     {"questionnaire_icon": "http://x"}],
)  # fmt: skip
def test_options_that_are_wrong_are_refused(fields):
    with pytest.raises(Invalid):
        FleetOptions(**fields)


def held_out(n=60):
    rng = np.random.default_rng(1)
    return cifar.encode(
        cifar.Samples(rng.integers(0, 256, (n, 3, 32, 32), dtype=np.uint8), (np.arange(n) % 10).astype(np.uint8))
    )


def test_each_new_model_is_scored_on_held_out_samples(fleet, ports):
    objects.put(ports, TEST_KEY, [held_out()])
    fleet.say()
    for place in range(4):
        fleet.train(place, 0, weights(0))

    fleet.work()

    metrics = Checkpoint.objects.get(project=fleet.pk, number=1).metrics
    assert metrics["test_loss"] == pytest.approx(np.log(fleet_model(fleet.row.model).n_classes), rel=1e-5)
    assert metrics["test_accuracy"] == pytest.approx(0.1)


def test_a_score_that_was_missed_is_made_up_for(fleet, ports, clock):
    fleet.say()
    for place in range(4):
        fleet.train(place, 0, weights(0))
    fleet.work()
    objects.put(ports, TEST_KEY, [held_out()])

    assert tick(ports, OPTIONS, now=clock()).evaluations == 1
    fleet.work()
    assert tick(ports, OPTIONS, now=clock()).evaluations == 0


def test_held_out_samples_that_are_none_are_not_tried_for_ever(fleet, ports, clock):
    objects.put(ports, TEST_KEY, [b"nonsense"])
    fleet.say()
    for place in range(4):
        fleet.train(place, 0, weights(0))
    fleet.work()

    assert tick(ports, OPTIONS, now=clock()).evaluations == 0
    assert fleet.phases()[0] == "complete"


def test_the_clock_keeps_house_once_a_minute(ports, clock, monkeypatch):
    calls = []
    monkeypatch.setattr("foedus.server.work.housekeeping", lambda *args, **kwargs: calls.append(clock()))
    clockwork = Clockwork()

    for _ in range(125):
        clockwork.tick(ports, now=clock())
        clock.passes(1)

    assert np.diff(calls).tolist() == [timedelta(seconds=60)] * 2
