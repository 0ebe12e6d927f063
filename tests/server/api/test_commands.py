"""The commands as a shell finds them."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from django.core.management import CommandError, get_commands, load_command_class
from django.db import connection
from django.test.utils import CaptureQueriesContext
from tests.server.api.conftest import Study, said

from foedus.core.rounds import Phase
from foedus.records.accounts.models import Participant, User
from foedus.records.fleet.models import Device, JoinedRound, StatusReport, TrainingResult
from foedus.records.learning.models import Membership, Round

ROOT = Path(__file__).resolve().parents[3]
COMMANDS = [
    "assign",
    "countresponses",
    "create-single-user",
    "createusers",
    "extract-device-status-responses",
    "extract-projects-start",
    "extract-train-responses",
    "joinedrounds",
    "performance",
    "performance_multirounds",
    "projectresponses",
    "responses-per-user",
    "roundstats",
    "tick",
]
HELP = {
    "assign": [
        "Query users using a prefix and assign them to a particular project.",
        "Project ID",
        "Prefix of users to be assigned to the given project.",
    ],
    "createusers": [
        "Create users accounts with random passwords.",
        "Number of accounts",
        "Prefix that will be used in the usernames",
        "Password length",
        "Sample index start that will increment per user",
    ],
    "joinedrounds": ["Report number of joined rounds per user.", "Project ID"],
    "roundstats": ["Report joined users per round.", "Project ID"],
    "performance": [
        "Report round performance of a project. If a round is not specified, the last one will be used.",
        "Round to be evaluated. If not defined, last completed round will be used.",
    ],
    "projectresponses": [
        "Query and report device responses for users registered to a project.",
        "Past time in minutes to lookup",
        "Include power-plugged AND users with >= battery level threshold.",
        "Only include power-plugged users",
        "Show details for each user's last response",
    ],
    "responses-per-user": [
        "Report device status responses per user.",
        "Usernames to report. If not specified, all registerd users will be reported.",
    ],
}


def shell(tmp_path, *words, program=("manage.py",)):
    """Run a command as a person does, on a database of its own."""
    env = {name: value for name, value in os.environ.items() if not name.startswith(("FOEDUS_", "DJANGO_"))}
    return subprocess.run(
        [sys.executable, *program, *words],
        cwd=ROOT,
        env={**env, "FOEDUS_DATA": str(tmp_path / "data")},
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )


def test_django_lists_the_commands_under_api_and_nothing_else():
    listed = sorted(name for name, app in get_commands().items() if app.rpartition(".")[2] == "api")

    assert listed == COMMANDS


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_explains_itself(name):
    parser = load_command_class("foedus.server.api", name).create_parser("manage.py", name)

    shown = " ".join(parser.format_help().split())

    for text in HELP.get(name, []):
        assert text in shown


def test_a_shell_gets_answers_on_standard_output_and_failures_with_status_1(tmp_path):
    """One test for many commands: each start of Python takes its time."""
    made = shell(tmp_path, "manage", "createusers", "2", "--prefix", "u", program=("-m", "foedus"))
    listed = shell(tmp_path, "-h")
    again = shell(tmp_path, "createusers", "2", "--prefix", "u")

    assert "\n[api]\n    " + "\n    ".join(COMMANDS) + "\n\n" in listed.stdout
    assert re.fullmatch(r"username, password, samples_index\nu1, \w{10}, 0\nu2, \w{10}, 1\n", made.stdout)
    assert made.returncode == 0
    assert made.stderr.startswith("Note: no service was in the data folder ")
    assert (again.returncode, again.stderr) == (1, "CommandError: User 'u1' already exists.\n")


def test_a_database_without_tables_is_a_failure_that_says_what_to_do(tmp_path):
    (tmp_path / "data").mkdir()

    failed = shell(tmp_path, "joinedrounds", "1")

    assert failed.returncode == 1
    assert failed.stderr.startswith("CommandError: The database cannot be used: no such table")
    assert "manage.py migrate" in failed.stderr


@pytest.fixture
def large(db, ports, clock):
    """300 phones that each reported, joined three rounds and had results in them."""
    study = Study.begin(ports, clock, 0)
    first = Round.objects.get(project=study.pk)
    owner = first.project.organisation
    study.devices = [
        Device(user=user, participant=participant)
        for user, participant in zip(
            User.objects.bulk_create(User(username=f"u{number}") for number in range(300)),
            Participant.objects.bulk_create(
                Participant(organisation=owner, name=f"u{number}", created_at=clock()) for number in range(300)
            ),
            strict=True,
        )
    ]
    Device.objects.bulk_create(study.devices)
    Membership.objects.bulk_create(
        Membership(project=first.project, participant=device.participant, joined_at=clock()) for device in study.devices
    )
    later = [
        Round(project=first.project, number=number, phase=Phase.INVALID, base=first.base, policy=first.policy,
              strategy=first.strategy, opened_at=clock())
        for number in (2, 3)
    ]  # fmt: skip
    rounds = [first, *Round.objects.bulk_create(later)]
    for table, values in (
        (JoinedRound, {"date_joined": clock(), "date_last_state": clock()}),
        (TrainingResult, {"loss": 0.5, "submitted_at": clock()}),
    ):
        table.objects.bulk_create(
            table(device=device, round=current, **values) for device in study.devices for current in rounds
        )
    StatusReport.objects.bulk_create(
        StatusReport(device=device, created_at=clock(), data=said().kept) for device in study.devices
    )
    return study


QUERIES = {
    "joinedrounds PROJECT --detailed": 3,
    "roundstats PROJECT": 6,
    "performance PROJECT --round 1": 5,
    "performance_multirounds PROJECT": 3,
    "projectresponses PROJECT --show-details": 3,
    "responses-per-user": 1 + 300 // 100,
    "countresponses": 1 + 300 // 100,
    "extract-train-responses PROJECT x.json --type joined": 3,
    "extract-device-status-responses 2026-11-22 2026-11-23 x.json": 1,
    "extract-projects-start": 1,
}


def test_300_devices_take_a_handful_of_queries(large, run):
    for line, most in QUERIES.items():
        with CaptureQueriesContext(connection) as queries:
            run(*line.replace("PROJECT", str(large.pk)).split())

        assert len(queries) <= most, (line, [query["sql"][:200] for query in queries])


def test_options_want_a_value(db, run):
    with pytest.raises(CommandError, match="--past-minutes: expected one argument"):
        run("countresponses", "--past-minutes")
