"""What the commands say about phones' reports."""

import json

import pytest
from django.core.management import CommandError

from foedus.records.accounts.models import User

pytestmark = pytest.mark.django_db


@pytest.fixture
def heard(study, clock):
    """test_user1 plugged in, then not; test_user2 with little battery; test_user3 left everything out."""
    study.say(0)
    clock.passes(61.5)
    study.say(0, power_plugged=False, battery_level=0.5, network_type="MOBILE", network_subtype="LTE")
    study.say(1, power_plugged=False, battery_level=0.04, bucket=40)
    study.say(2, version_code=None, bucket=None, network_type=None, power_plugged=True, battery_level=None)
    return study


def test_project_responses_are_the_share_of_the_assigned(heard, run):
    assert run("projectresponses", heard.pk) == "Project responses: 3/4 (ratio: 0.75)\n"


def test_details_show_the_newest_response_of_each(heard, run):
    assert run("projectresponses", heard.pk, "--show-details") == (
        "Project responses: 3/4 (ratio: 0.75)\n"
        "    test_user1 - last_reponse: 22/11/2026 05:22:30.510 - version_code: 13 - bucket: 10"
        " - power_plugged: False - battery: 0.50\n"
        "    test_user2 - last_reponse: 22/11/2026 05:22:30.510 - version_code: 13 - bucket: 40"
        " - power_plugged: False - battery: 0.04\n"
        "    test_user3 - last_reponse: 22/11/2026 05:22:30.510 - version_code: 0 - bucket: -1"
        " - power_plugged: True - battery: nan\n"
    )


def test_project_responses_in_detail_name_the_project_and_networks(heard, run):
    lines = run("projectresponses", heard.pk, "--show-details", "--detailed").splitlines()

    assert lines[:2] == ["Project 'Test Baseline IID'", "Responses: 3. Currently registered: 4 (ratio: 0.75)"]
    assert [line.rpartition(" - ")[2] for line in lines[2:]] == [
        "network: MOBILE (LTE)",
        "network: WIFI ()",
        "network:  ()",
    ]


@pytest.mark.parametrize(
    ("options", "names"),
    [
        (["--battery-level", "0.04"], ["test_user1", "test_user2", "test_user3"]),
        (["--battery-level", "0.05"], ["test_user1", "test_user3"]),
        (["--plugged-only"], ["test_user1", "test_user3"]),
        (["--past-minutes", "1"], ["test_user1", "test_user2", "test_user3"]),
    ],
)
def test_responses_count_by_plug_battery_and_age(heard, run, options, names):
    found = json.loads(run("projectresponses", heard.pk, "--json", *options))

    assert [said["username"] for said in found["details"]] == names
    assert found["ratio"] == len(names) / 4


def test_the_newest_response_that_counts_stands_for_a_device(heard, run):
    (first, _) = json.loads(run("projectresponses", heard.pk, "--json", "--plugged-only"))["details"]

    assert (first["username"], first["power_plugged"]) == ("test_user1", True)


def test_old_responses_do_not_count(heard, clock, run):
    clock.passes(60 * 60)

    assert run("projectresponses", heard.pk) == "Project responses: 0/4 (ratio: 0.00)\n"
    assert run("projectresponses", heard.pk, "--past-minutes", "61") == "Project responses: 3/4 (ratio: 0.75)\n"


def test_who_is_not_assigned_any_longer_does_not_count(heard, run):
    heard.devices = heard.devices[1:]
    heard.add(0)

    assert run("projectresponses", heard.pk) == "Project responses: 2/3 (ratio: 0.67)\n"


def test_responses_of_a_user_come_newest_first(heard, run):
    assert run("responses-per-user", "test_user1") == (
        "Filtered Device Status Responses of user 'test_user1':\n"
        "    22/11/2026 05:22:30.510 - version_code: 13 - bucket: 10 - power_plugged: False - battery: 0.50\n"
        "    22/11/2026 05:21:29.010 - version_code: 13 - bucket: 10 - power_plugged: True - battery: 1.00\n"
        "\n"
    )


def test_users_without_responses_are_passed_over_and_the_others_come_by_name(heard, run):
    lines = run("responses-per-user").splitlines()

    assert [line for line in lines if line.startswith("Filtered")] == [
        f"Filtered Device Status Responses of user 'test_user{number}':" for number in (1, 2, 3)
    ]


def test_named_users_come_as_named_and_once(heard, run):
    found = json.loads(run("responses-per-user", "test_user2", "test_user1", "test_user2", "--json"))

    assert list(found) == ["test_user2", "test_user1"]


def test_responses_in_detail_show_networks_and_a_total(heard, run):
    lines = run("responses-per-user", "test_user1", "test_user4", "--detailed").splitlines()

    assert lines[1].endswith(" - battery: 0.50 - network: MOBILE (LTE)")
    assert lines[-1] == "Total: 1 responses (1 users with no relative reponses)."


def test_responses_are_counted_for_everybody_with_a_phone(heard, run):
    User.objects.create(username="fresh")

    assert run("countresponses") == (
        "username, responses\nfresh, 0\ntest_user1, 2\ntest_user2, 1\ntest_user3, 1\ntest_user4, 0\n"
    )


def test_a_report_of_a_training_is_a_response_too(study, run):
    study.say()
    study.work()
    study.finish(0, {0: 0.5})

    assert "test_user1, 2\n" in run("countresponses", "test_user1")


@pytest.mark.parametrize("command", ["countresponses", "responses-per-user"])
def test_a_user_that_is_not_there_is_an_error(heard, run, command):
    with pytest.raises(CommandError, match=r"^User 'test_user9' does not exist\.$"):
        run(command, "test_user1", "test_user9")


@pytest.mark.parametrize(
    "options",
    [["--past-minutes", "-1"], ["--past-minutes", "1e99"], ["--battery-level", "nan"], ["--battery-level", "2"]],
)
def test_values_that_make_no_sense_are_refused(heard, run, options):
    with pytest.raises(CommandError, match=options[0]):
        run("countresponses", *options)
