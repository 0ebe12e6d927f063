"""A fleet's rounds from the first report to the last model."""

from dataclasses import replace

import numpy as np
import pytest
from tests.fleets import PLUGGED, SMALL, Fleet, random_weights, weights

from foedus.core import folding, registry
from foedus.core.errors import Forbidden, Invalid, Late, NotFound, Replayed
from foedus.core.fleet.layouts import fleet_model
from foedus.records.fleet.models import Device, StatusReport, Submission
from foedus.records.learning.models import Checkpoint, Invitation, Membership, Project, Round, Update
from foedus.records.shell.models import Job
from foedus.services.fleet import training
from foedus.services.fleet.availability import Said
from foedus.services.fleet.fields import BadFields
from foedus.services.learning.clock import tick
from foedus.services.learning.waiting import reasons_of

pytestmark = pytest.mark.django_db(transaction=True)

UNPLUGGED = replace(PLUGGED, power_plugged=False)


@pytest.fixture
def fleet(ports, clock):
    return Fleet.create(ports, clock)


def test_a_project_goes_from_the_first_report_to_its_last_model_without_a_tick(fleet):
    for number in range(3):
        fleet.say()
        fleet.work()
        for place in range(4):
            fleet.train(place, number, weights(number + place))
        fleet.work()

    assert fleet.phases() == ["complete"] * 3
    assert Project.objects.get(pk=fleet.pk).state == Project.State.FINISHED
    assert [fleet.model(number)[0] for number in range(4)] == [0.0, 1.5, 2.5, 3.5]
    assert not Job.objects.exists()


def test_train_reports_start_the_next_round_without_pings(fleet):
    fleet.say()
    fleet.work()
    for place in range(4):
        fleet.train(place, 0, weights(place))

    fleet.work()

    assert fleet.phases() == ["complete", "collecting"]


def test_the_new_model_is_the_mean_in_float64_bit_for_bit(fleet):
    fleet.say()
    uploads = [random_weights(seed) for seed in range(4)]
    for place, data in enumerate(uploads):
        fleet.train(place, 0, data)

    fleet.work()

    expected = np.mean([np.frombuffer(data, "<f4").astype(np.float64) for data in uploads], axis=0).astype("<f4")
    assert fleet.model(1).tobytes() == expected.tobytes()


@pytest.mark.parametrize(("ready", "starts"), [(7, False), (8, True)])
def test_a_round_starts_when_the_share_of_the_assigned_that_is_ready_is_reached(ports, clock, ready, starts):
    fleet = Fleet.create(ports, clock, 10, responses_ratio_threshold="0.80")

    fleet.say(*range(ready))

    assert fleet.phases() == ["collecting" if starts else "waiting"]


@pytest.mark.parametrize(("reported", "phase"), [(6, "invalid"), (7, "combining")])
def test_a_round_counts_when_the_share_of_the_assigned_that_reported_is_reached(ports, clock, reported, phase):
    fleet = Fleet.create(ports, clock, 10, valid_round_training_threshold="0.70")
    fleet.say()
    for place in range(reported):
        fleet.train(place, 0, weights())
    assert fleet.phases() == ["collecting"]

    clock.passes(60 * 60)
    tick(ports, now=clock())

    assert fleet.phases()[0] == phase


def test_a_round_is_not_decided_before_its_time_is_over(fleet, ports, clock):
    fleet.say()
    fleet.train(0, 0, weights())
    clock.passes(60 * 60 - 1)
    fleet.say(1, 2, 3)

    tick(ports, now=clock())

    assert fleet.phases() == ["collecting"]


def test_an_invalid_round_keeps_the_model_and_does_not_count(fleet, ports, clock):
    fleet.say()
    fleet.train(0, 0, weights(9))
    clock.passes(3600)

    tick(ports, now=clock())

    assert fleet.phases() == ["invalid", "waiting"]
    assert fleet.model(1)[0] == 0.0
    assert Checkpoint.objects.filter(project=fleet.pk).count() == 1


def test_after_so_many_invalid_rounds_the_project_stops_and_says_why(ports, clock):
    fleet = Fleet.create(ports, clock, max_invalid_rounds=2)
    for _ in range(2):
        fleet.say()
        clock.passes(3600)
        tick(ports, now=clock())

    assert fleet.phases() == ["invalid", "invalid"]
    (reason,) = reasons_of(Project.objects.get(pk=fleet.pk), clock())
    assert reason.facts["streak"] == 2


@pytest.mark.parametrize(("basis", "phase"), [("assigned", "invalid"), ("invited", "combining")])
def test_the_share_that_must_report_may_be_one_of_the_invited(ports, clock, basis, phase):
    fleet = Fleet.create(
        ports, clock, 10, responses_ratio_threshold="0.50", valid_round_training_threshold="0.70", ratio_basis=basis
    )
    fleet.say(*range(5))
    for place in range(5):
        fleet.train(place, 0, weights())

    assert fleet.phases()[0] == phase


@pytest.mark.parametrize(
    ("plugged_only", "plugged", "level", "obstacle"),
    [
        (True, True, 0.01, ""),
        (True, False, 1.0, "not plugged in"),
        (False, False, 0.60, ""),
        (False, False, 0.59, "battery 0.59 below 0.60"),
        (False, True, 0.01, ""),
        (False, False, None, "it has not said how full its battery is"),
        (True, None, 1.0, "it has not said whether it is plugged in"),
    ],
)
def test_a_phone_is_ready_when_it_is_plugged_in_or_full_enough(ports, clock, plugged_only, plugged, level, obstacle):
    fleet = Fleet.create(ports, clock, 1, power_plugged_only=plugged_only, battery_level_threshold="0.60")

    fleet.say(0, said=Said(details={}, power_plugged=plugged, battery_level=level))

    assert Membership.objects.get(project=fleet.pk).obstacle == obstacle
    assert fleet.phases() == ["waiting" if obstacle else "collecting"]


def test_the_newest_report_decides_even_if_an_older_one_was_better(fleet):
    fleet.say(0)
    fleet.say(0, said=UNPLUGGED)

    fleet.say(1, 2)

    assert fleet.phases() == ["waiting"]
    fleet.say(3)
    assert fleet.phases() == ["waiting"]
    fleet.say(0)
    assert fleet.phases() == ["collecting"]


@pytest.mark.parametrize(("seconds", "starts"), [(3599, True), (3600, False)])
def test_a_report_makes_a_phone_count_as_there_for_an_hour(ports, clock, seconds, starts):
    fleet = Fleet.create(ports, clock, 2, responses_ratio_threshold="1.00")
    fleet.say(0)
    clock.passes(seconds)

    fleet.say(1)

    assert fleet.phases() == ["collecting" if starts else "waiting"]


def test_what_a_project_waits_for_is_said_by_name(fleet, clock):
    fleet.say(0, said=UNPLUGGED)

    texts = [reason.text for reason in reasons_of(Project.objects.get(pk=fleet.pk), clock())]

    assert any("not plugged in" in text for text in texts)


def test_looser_thresholds_hold_at_once(fleet):
    fleet.say(0, 1)
    assert fleet.phases() == ["waiting"]

    fleet.change(responses_ratio_threshold="0.50")

    assert fleet.phases() == ["collecting"]


def test_another_rule_of_readiness_judges_the_phones_anew(fleet):
    fleet.say(said=UNPLUGGED)
    assert fleet.phases() == ["waiting"]

    fleet.change(power_plugged_only=False)

    assert fleet.phases() == ["collecting"]


def test_a_phone_assigned_late_brings_its_last_report_along(ports, clock):
    fleet = Fleet.create(ports, clock, 1, responses_ratio_threshold="1.00")
    fleet.say(0, said=UNPLUGGED)
    other = Fleet.create(ports, clock, 1)
    other.say(0)
    fleet.say(0)
    assert fleet.phases() == ["collecting"]

    fleet.devices.append(other.devices[0])
    fleet.add(0)

    moved = Membership.objects.get(project=fleet.pk, participant=other.devices[0].participant)
    assert (moved.seen_at, moved.obstacle) == (clock(), "")
    assert Membership.objects.get(project=other.pk).state == Membership.State.REMOVED
    assert Invitation.objects.get(membership__project=other.pk).state == Invitation.State.DECLINED


def test_a_hundred_repeated_reports_count_once(fleet):
    fleet.say()
    fleet.upload(0, 0, weights(1))

    for _ in range(100):
        assert fleet.report(0, 0).counted

    assert Update.objects.count() == 1
    assert StatusReport.objects.filter(round__isnull=False).count() == 1
    assert fleet.phases() == ["collecting"]


def test_a_report_without_a_model_does_not_count_until_there_is_one(fleet):
    fleet.say()

    taken = fleet.report(0, 0)

    assert not taken.counted
    assert "no valid model" in taken.note
    fleet.upload(0, 0, weights())
    assert fleet.report(0, 0).counted


def test_a_model_without_a_report_does_not_count(fleet, ports, clock):
    fleet.say()
    for place in range(4):
        fleet.upload(place, 0, weights(5))
    clock.passes(3600)

    tick(ports, now=clock())

    assert fleet.phases()[0] == "invalid"
    assert not Update.objects.exists()


def test_a_model_may_be_replaced_until_it_is_reported(fleet, ports):
    fleet.say()
    first = fleet.upload(0, 0, weights(1))
    fleet.train(0, 0, weights(2))

    with pytest.raises(Replayed):
        fleet.upload(0, 0, weights(3))

    assert first.blob not in [blob.key for blob in ports.blobs.list()]
    assert fleet.object(f"projects/{fleet.pk}/0/{fleet.devices[0].pk}/model_weights.bin") == weights(2)
    assert Submission.objects.count() == 1


def test_the_same_model_again_is_welcome_even_when_the_round_is_over(fleet):
    fleet.say()
    for place in range(4):
        fleet.train(place, 0, weights(place))
    fleet.work()

    fleet.upload(0, 0, weights(0))
    assert fleet.report(0, 0).counted
    with pytest.raises(Late):
        fleet.upload(0, 0, weights(7))


@pytest.mark.parametrize(
    "data",
    [
        b"\0",
        weights()[:-4],
        weights()[:-1],
        weights() + b"\0\0\0\0",
        weights(np.nan),
        weights()[:-4] + np.array([np.inf], "<f4").tobytes(),
    ],
    ids=["one byte", "a value short", "a byte short", "a value long", "NaN", "infinity at the end"],
)
def test_a_model_that_is_none_is_refused_and_leaves_nothing(fleet, ports, data):
    fleet.say()
    before = [blob.key for blob in ports.blobs.list()]

    with pytest.raises(Invalid):
        fleet.upload(0, 0, data)

    assert [blob.key for blob in ports.blobs.list()] == before
    assert list(ports.scratch.iterdir()) == []


def test_huge_values_do_not_make_the_mean_overflow(fleet):
    fleet.say()
    for place in range(4):
        fleet.train(place, 0, weights(3e38))

    fleet.work()

    assert np.isfinite(fleet.model(1)).all()


def test_a_late_report_is_told_so_and_still_says_that_the_phone_is_there(fleet, clock, ports):
    fleet.say()
    fleet.upload(0, 0, weights())
    clock.passes(3600)
    tick(ports, now=clock())
    clock.passes(10)

    with pytest.raises(Late):
        fleet.report(0, 0)

    assert not Update.objects.exists()
    assert Device.objects.get(pk=fleet.devices[0].pk).reported_at == clock()


def test_who_was_not_invited_can_neither_join_nor_upload_nor_report(ports, clock):
    fleet = Fleet.create(ports, clock, 5)
    fleet.say(0, 1, 2, 3)

    with pytest.raises(Forbidden):
        training.join_round(fleet.devices[4], fleet.pk, 0, 1, now=clock())
    with pytest.raises(Forbidden):
        fleet.upload(4, 0, weights())
    with pytest.raises(Forbidden):
        fleet.report(4, 0)


def test_others_projects_are_not_there(ports, clock):
    mine, theirs = Fleet.create(ports, clock), Fleet.create(ports, clock)
    theirs.say()
    stranger = mine.devices[0]

    with pytest.raises(NotFound):
        training.join_round(stranger, theirs.pk, 0, 1, now=clock())
    with pytest.raises(NotFound):
        training.expect_model(stranger, theirs.pk, 0)
    theirs.devices[0] = stranger
    with pytest.raises(NotFound):
        theirs.report(0, 0)


def test_joining_again_changes_how_far_the_phone_is_and_when(fleet, clock):
    fleet.say()
    training.join_round(fleet.devices[0], fleet.pk, 0, 1, now=clock())
    began = clock()
    clock.passes(5)

    training.join_round(fleet.devices[0], fleet.pk, 0, 5, now=clock())

    (joined,) = fleet.devices[0].joined.all()
    assert (joined.status, joined.date_joined, joined.date_last_state) == (5, began, clock())


def test_nobody_begins_with_a_round_that_is_over_but_may_say_where_it_found_out(fleet, clock, ports):
    fleet.say()
    clock.passes(3600)
    tick(ports, now=clock())

    with pytest.raises(Late):
        training.join_round(fleet.devices[0], fleet.pk, 0, 1, now=clock())
    training.join_round(fleet.devices[0], fleet.pk, 0, 2, now=clock())


def test_a_phone_that_wakes_up_is_waited_for_again(ports, clock):
    fleet = Fleet.create(ports, clock, 2, max_training_time=600)
    fleet.say()
    clock.passes(3600)
    fleet.say(1)
    tick(ports, now=clock())
    assert Invitation.objects.filter(state=Invitation.State.LOST).count() == 1

    training.join_round(fleet.devices[0], fleet.pk, 0, 1, now=clock())
    fleet.train(1, 0, weights())

    assert fleet.phases() == ["collecting"]
    fleet.train(0, 0, weights())
    assert fleet.phases() == ["combining"]


def test_without_a_seed_each_round_draws_its_own_and_keeps_it(ports, clock):
    fleet = Fleet.create(ports, clock, 1, seed=None)
    seeds = []
    for number in range(2):
        fleet.say()
        fleet.work()
        seeds.append(training.join_round(fleet.devices[0], fleet.pk, number, 1, now=clock()).settings["seed"])
        fleet.train(0, number, weights())
        fleet.work()

    assert seeds[0] != seeds[1]
    assert all(0 <= seed < 2**31 for seed in seeds)
    assert [r.settings["seed"] for r in Round.objects.filter(project=fleet.pk).order_by("number")][:2] == seeds


def test_stopped_projects_take_what_is_under_way_and_decide_when_they_go_on(fleet, clock):
    fleet.say()
    fleet.change(status="Stopped")
    for place in range(4):
        fleet.train(place, 0, weights(place))
    assert fleet.phases() == ["collecting"]

    fleet.change(status="In Progress")

    assert fleet.phases() == ["combining"]


def test_a_completed_project_set_going_again_runs_one_more_round(ports, clock):
    fleet = Fleet.create(ports, clock, 1, number_of_rounds=1)
    fleet.say()
    fleet.train(0, 0, weights(1))
    fleet.work()
    assert Project.objects.get(pk=fleet.pk).state == Project.State.FINISHED

    fleet.change(status="In Progress")
    fleet.work()
    fleet.train(0, 1, weights(2))
    fleet.work()

    assert fleet.phases() == ["complete", "complete"]
    assert Project.objects.get(pk=fleet.pk).state == Project.State.FINISHED


def test_models_and_reports_of_many_at_once_are_each_counted_once(ports, clock, in_threads):
    fleet = Fleet.create(ports, clock, 6, responses_ratio_threshold="1.00")
    in_threads(*(lambda p=p: fleet.say(p) for p in range(6)))
    assert fleet.phases() == ["collecting"]

    results = in_threads(*(lambda p=p % 6: fleet.train(p, 0, weights(p)) for p in range(12)))
    tick(ports, now=clock())

    assert [r for r in results if isinstance(r, Exception)] == []
    assert Update.objects.count() == 6
    assert Submission.objects.count() == 6
    assert Job.objects.filter(kind="combine").count() == 1


def test_phones_that_join_at_once_are_each_written_down_once(fleet, clock, in_threads):
    fleet.say()

    results = in_threads(
        *(lambda: training.join_round(fleet.devices[0], fleet.pk, 0, 1, now=clock()) for _ in range(8))
    )

    assert [r for r in results if isinstance(r, Exception)] == []
    assert fleet.devices[0].joined.count() == 1


def test_a_model_whose_norm_is_above_the_projects_bound_is_refused(ports, clock):
    fleet = Fleet.create(ports, clock, max_model_norm=10.0)
    fleet.say()
    fleet.work()

    fleet.upload(0, 0, weights(0.1))
    with pytest.raises(Invalid, match="at most 10 is allowed"):
        fleet.upload(1, 0, weights(1.0))

    assert Submission.objects.count() == 1


def test_a_step_that_the_strategy_cannot_calculate_with_is_refused_to_its_phone(ports, clock):
    fleet = Fleet.create(ports, clock, strategy="fedadam")
    fleet.say()

    with pytest.raises(Invalid, match="too large to be combined"):
        fleet.upload(0, 0, weights(3e38))
    for place in range(4):
        fleet.train(place, 0, weights(place))
    fleet.work()

    assert np.isfinite(fleet.model(1)).all()


def test_a_project_names_the_rule_that_combines_its_uploads(ports, clock):
    fleet = Fleet.create(ports, clock, strategy="fedavg")
    fleet.say()
    for place in range(4):
        fleet.train(place, 0, weights(place))

    fleet.work()

    assert Round.objects.get(project=fleet.pk, number=1).strategy["name"] == "fedavg"
    assert fleet.model(1)[0] == 1.5


def test_every_rule_is_refused_or_can_combine_what_phones_send(ports, clock):
    fleet = Fleet.create(ports, clock)
    sent = [folding.Update(str(place), 1.0, fleet_model(SMALL).start()) for place in range(7)]
    refusals = []
    for name in ("magic", *registry.names("foedus.strategies")):
        try:
            fleet.change(strategy=name)
        except BadFields as refused:
            refusals.append((name, *refused.errors))
        else:
            strategy = registry.build("foedus.strategies", name, {})
            strategy.step(strategy.init(sent[0].source), sent)

    assert refusals == [(name, "strategy") for name in ("magic", "fedbuff", "qfedavg", "scaffold")]
