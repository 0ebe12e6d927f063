"""What a tick says."""

import json

import pytest
from django.core.management import CommandError
from tests.factories import Study as NativeStudy
from tests.server.api.conftest import Study

from foedus.records.learning.models import Project, Round

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def only_this_day(clock):
    """Before six in the morning nothing about questionnaires is due."""
    assert clock().hour < 6


def test_without_projects_there_is_nothing_to_say(db, run):
    assert run("tick") == "Found 0 available projects.\n"


def test_a_round_that_waits_says_for_what(study, run):
    study.say(0, 1, 2)

    assert run("tick") == (
        "Found 1 available projects.\n"
        f"Project '{study.pk}. Test Baseline IID':\n"
        "Round status 'Wait': Trying to start the round.\n"
        "Waiting for more responses. Current Ratio is 0.75 (3/4).\n"
        "    3 of 4 registered participants are ready; the round starts with 4 (at least 80% and 1).\n"
        "    1 participant not seen in the last 60 min.\n"
    )


def test_a_round_that_trains_says_how_long_it_still_may(study, clock, run):
    study.say()
    study.work()
    study.finish(0, {0: 0.1, 1: 0.1, 2: 0.1})
    clock.passes(60)

    lines = run("tick").splitlines()

    assert lines[2:4] == [
        "Round status 'Training': Checking for round completion.",
        "Waiting for 59 more minutes. Current Ratio is 0.75 (3 out of 4).",
    ]


def test_a_round_that_has_enough_when_its_time_is_over_is_complete(study, clock, run):
    study.say()
    study.work()
    study.finish(0, {0: 0.1, 1: 0.1, 2: 0.1})
    clock.passes(60 * 60)

    assert run("tick").splitlines()[2:6] == [
        "Round status 'Training': Checking for round completion.",
        "    test_user4 has not been seen for too long: not waiting for it.",
        "Round 0 is complete. Ratio is 0.75 (3 out of 4).",
        "Next round is 1.",
    ]
    assert study.phases() == ["complete", "waiting"]


def test_a_round_that_has_too_few_is_invalid_and_the_next_one_is_tried_at_once(study, clock, run):
    study.say()
    study.work()
    study.finish(0, {0: 0.1})
    clock.passes(59 * 60)
    study.say()
    clock.passes(60)

    printed = run("tick")

    second = Round.objects.get(project=study.pk, number=2)
    assert printed == (
        "Found 1 available projects.\n"
        f"Project '{study.pk}. Test Baseline IID':\n"
        "Round status 'Training': Checking for round completion.\n"
        "Round 0 is invalid. Ratio is 0.25 (1 out of 4)."
        " 1 participant handed in an update; 3 of 4 registered were needed (at least 70%).\n"
        "Next round is 1.\n"
        "Train request sent to 4 devices.\n"
        "    Users: ['test_user1', 'test_user2', 'test_user3', 'test_user4']\n"
        f"    Data: request: {second.pk} - round: 1 - valid until: 22/11/2026 07:21:29.010\n"
        "Waiting for 60 more minutes. Current Ratio is 0.00 (0 out of 4).\n"
        "    0 of 4 invited participants handed in an update; 4 still may."
        " test_user1 was last seen 60 s ago, test_user2 was last seen 60 s ago, test_user3 was last seen 60 s ago.\n"
    )


def test_a_project_that_gives_up_says_why(ports, clock, run):
    study = Study.begin(ports, clock, max_invalid_rounds=1)
    study.say()
    clock.passes(60 * 60)

    assert run("tick").splitlines()[-1].startswith("Project is stopped. 0 participants handed in an update;")
    assert run("tick") == "Found 0 available projects.\n"


def test_what_a_tick_says_may_be_json(study, run):
    study.say(0)

    (found,) = json.loads(run("tick", "--json"))["projects"]

    assert (found["project"], found["round"], found["round_status"]) == (study.pk, 0, "wait")
    assert (found["ready"], found["assigned"], found["minutes_left"]) == (1, 4, None)
    assert found["reasons"][0]["code"] == "too_few_ready"


def test_one_project_that_fails_is_named_and_the_others_go_on(study, ports, clock, run):
    broken = Study.begin(ports, clock, 0, title="Broken")
    Round.objects.filter(project=broken.pk).update(policy={"name": "thresholds", "options": {"ready_ratio": 7}})

    with pytest.raises(CommandError, match=r"^1 project\(s\) failed and will be tried again: Broken$"):
        run("tick")


def test_a_tick_moves_the_projects_of_other_dialects_too(ports, clock, run):
    native = NativeStudy.create(ports, clock)
    Project.objects.filter(key=native.key).update(next_check_at=clock())

    run("tick")

    assert Project.objects.get(key=native.key).next_check_at != clock()
