"""What the commands say about rounds."""

import json

import pytest
from django.core.management import CommandError
from tests.server.api.conftest import Study

from foedus.records.learning.models import Checkpoint

pytestmark = pytest.mark.django_db
EMPTY_TABLES = [
    ("joinedrounds", "username, joined_rounds\n"),
    ("roundstats", "round, status, joined_devices_ratio, usernames\n"),
    ("performance_multirounds", "round, status, devices, loss_mean, loss_std, test_accuracy\n"),
]


def test_the_study_is_what_the_reports_are_about(over):
    assert over.phases() == ["complete", "complete", "invalid", "collecting"]


def test_joined_rounds_are_counted_for_those_who_joined(over, run):
    assert (
        run("joinedrounds", over.pk)
        == "username, joined_rounds\ntest_user1, 3\ntest_user2, 3\ntest_user3, 2\ntest_user4, 2\n"
    )


def test_joined_rounds_come_in_the_order_of_names_as_text(ports, clock, run):
    study = Study.begin(ports, clock, 0)
    study.enrol("b", "a10", "a9", "B")
    study.say()
    study.work()
    study.join(0, 0, 1, 2, 3)

    names = [line.split(", ")[0] for line in run("joinedrounds", study.pk).splitlines()[1:]]

    assert names == ["B", "a10", "a9", "b"]


def test_joined_rounds_in_detail_name_the_project_and_those_who_joined_none(study, run):
    study.say()
    study.work()
    study.join(0, 2)

    assert run("joinedrounds", study.pk, "--detailed") == (
        "Project 'Test Baseline IID'\n"
        "username, joined_rounds\n"
        "test_user3, 1\n"
        "Excluded 3 users with zero joined rounds: ['test_user1', 'test_user2', 'test_user4']\n"
    )


def test_who_joined_and_was_assigned_elsewhere_since_is_still_counted(over, ports, clock, run):
    Study(ports, clock, over.operator, Study.begin(ports, clock, 0, title="Other").row, over.devices[:1]).add(0)

    assert "test_user1, 3\n" in run("joinedrounds", over.pk)


def test_round_statistics_name_the_devices_in_the_order_in_which_they_joined(over, run):
    assert run("roundstats", over.pk) == (
        "round, status, joined_devices_ratio, usernames\n"
        "0, complete, 0.75, ['test_user2', 'test_user3', 'test_user1']\n"
        "1, complete, 1.00, ['test_user4', 'test_user1', 'test_user2', 'test_user3']\n"
        "2, invalid, 0.25, ['test_user1']\n"
        "3, training, 0.50, ['test_user4', 'test_user2']\n"
    )


def test_round_statistics_in_detail_count_invitations_joins_and_reports(over, run):
    assert run("roundstats", over.pk, "--detailed") == (
        "Project 'Test Baseline IID'\n"
        "Registered devices: 4\n"
        "\n"
        "round, status, requested_devices, joined_devices, reported_devices, reported_devices_usernames\n"
        "0, complete, 4, 3, 3, ['test_user1', 'test_user2', 'test_user3']\n"
        "1, complete, 4, 4, 4, ['test_user1', 'test_user2', 'test_user3', 'test_user4']\n"
        "2, invalid, 4, 1, 1, ['test_user1']\n"
        "3, training, 4, 2, 1, ['test_user4']\n"
    )


def test_a_round_that_waits_has_nobody(study, run):
    assert run("roundstats", study.pk).splitlines()[1:] == ["0, wait, 0.00, []"]


def test_a_share_of_nobody_is_infinite(ports, clock, run):
    study = Study.begin(ports, clock, 0)

    assert run("roundstats", study.pk).splitlines()[1:] == ["0, wait, inf, []"]
    assert json.loads(run("roundstats", study.pk, "--json"))[0]["joined_devices_ratio"] is None
    assert run("projectresponses", study.pk) == "Project responses: 0/0 (ratio: inf)\n"


def test_performance_of_a_round_is_the_mean_and_spread_of_its_losses(over, run):
    assert run("performance", over.pk, "--round", "1") == (
        "Project: Test Baseline IID\n"
        "Rounds completed: 2/20 (plus 1 invalid)\n"
        "Round 1 Test Accuracy: TBD\n"
        "Round 1 Loss: 0.31 (0.01)\n"
    )


def test_performance_without_a_round_is_that_of_the_last_complete_one(over, run):
    assert run("performance", over.pk) == (
        "Project: Test Baseline IID\n"
        "Exact round was not specified, using last completed round '1'\n"
        "Rounds completed: 2/20 (plus 1 invalid)\n"
        "Round 1 Test Accuracy: TBD\n"
        "Round 1 Loss: 0.31 (0.01)\n"
    )


def test_performance_shows_the_accuracy_where_the_server_tested(over, run):
    Checkpoint.objects.filter(project=over.pk, round_number=2).update(metrics={"test_accuracy": 0.4273})

    assert "Round 1 Test Accuracy: 0.43\n" in run("performance", over.pk)
    assert "Round 0 Test Accuracy: TBD\n" in run("performance", over.pk, "--round", "0")


def test_performance_of_a_round_without_results_is_nan(study, run):
    assert run("performance", study.pk, "--round", "0").endswith("Round 0 Loss: nan (nan)\n")


def test_a_loss_that_is_no_number_is_left_out(study, run):
    study.say()
    study.work()
    study.finish(0, {0: 0.5, 1: float("nan")})

    assert run("performance", study.pk, "--round", "0").endswith("Round 0 Loss: 0.50 (0.00)\n")


def test_performance_over_rounds_has_a_row_for_each_that_is_over(over, run):
    Checkpoint.objects.filter(project=over.pk, round_number=1).update(metrics={"test_accuracy": 0.4273})

    assert run("performance_multirounds", over.pk) == (
        "round, status, devices, loss_mean, loss_std, test_accuracy\n"
        "0, complete, 3, 0.5000, 0.2041, 0.4273\n"
        "1, complete, 4, 0.3100, 0.0100, TBD\n"
        "2, invalid, 1, 0.1250, 0.0000, TBD\n"
    )


@pytest.mark.parametrize(
    ("limits", "rounds"), [(["--from", 1], [1, 2]), (["--to", 1], [0, 1]), (["--from", 1, "--to", 1], [1])]
)
def test_performance_over_rounds_may_begin_and_end_anywhere(over, run, limits, rounds):
    found = json.loads(run("performance_multirounds", over.pk, *limits, "--json"))

    assert [row["round"] for row in found] == rounds


@pytest.mark.parametrize(("command", "printed"), EMPTY_TABLES)
def test_a_project_without_rounds_has_an_empty_table(ports, clock, run, command, printed):
    study = Study.begin(ports, clock, 1, status="Stopped")

    assert run(command, study.pk) == printed


def test_a_projects_span_is_from_its_first_round_to_the_end_of_its_newest(over, ports, clock, run):
    Study.begin(ports, clock, 0, title="Not begun", status="Stopped")

    assert run("extract-projects-start") == (
        f"Project {over.pk} (Test Baseline IID) \t Begin: 22/11/2026 05:21:29.010 \t End: 22/11/2026 08:21:37.010\n"
    )


@pytest.mark.parametrize(
    ("command", "arguments", "error"),
    [
        ("performance", ["--round", 99], "Round 99 does not exist in project with id '{}'."),
        ("performance", ["--round", 2**31 - 1], "Round 2147483647 does not exist in project with id '{}'."),
        ("performance", [], "No round of the project with id '{}' is complete yet; choose one by --round."),
    ],
)
def test_a_round_that_is_not_there_is_an_error(study, run, command, arguments, error):
    with pytest.raises(CommandError) as caught:
        run(command, study.pk, *arguments)

    assert str(caught.value) == error.format(study.pk)


@pytest.mark.parametrize("pk", [0, 9999, -1, 10**30])
@pytest.mark.parametrize(
    "command",
    ["assign", "joinedrounds", "roundstats", "performance", "performance_multirounds", "projectresponses"],
)
def test_a_project_that_is_not_there_is_an_error(db, run, command, pk):
    with pytest.raises(CommandError, match=f"^Project with id '{pk}' does not exist.$"):
        run(command, "--", pk)
