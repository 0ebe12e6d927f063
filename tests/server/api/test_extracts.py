"""The commands that put files for analysis into the object store."""

import json

import pytest
from django.core.management import CommandError

pytestmark = pytest.mark.django_db


def people(*numbers):
    return [{"username": f"test_user{number}", "samples_index": number - 1} for number in numbers]


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ([], [people(1, 2, 3), people(1, 2, 3, 4), people(4)]),
        (["--type", "joined"], [people(2, 3, 1), people(4, 1, 2, 3), people(4, 2)]),
        (["--type", "available"], [people(1, 2, 3, 4), people(1, 2, 3, 4), people(1, 2, 3, 4)]),
    ],
)
def test_devices_of_complete_and_training_rounds_are_stored(over, run, options, expected):
    assert run("extract-train-responses", over.pk, "found.json", *options) == ""

    assert over.object("results/distributions/found.json") == json.dumps(expected, indent=4).encode()


def test_pings_between_two_days_in_madrid_are_stored_newest_first(study, clock, run):
    study.say(0)  # 05:21:29 on the 22nd, there
    study.work()
    clock.passes(18 * 3600)
    study.say(1)  # 23:21:29
    clock.passes(3600)
    study.say(2)  # 00:21:29 on the 23rd

    assert run("extract-device-status-responses", "2026-11-22", "2026-11-23", "day.json") == ""

    assert json.loads(study.object("results/responses/day.json")) == [
        {"timestamp": "2026-11-22T23:21:29", "username": "test_user2"},
        {"timestamp": "2026-11-22T05:21:29", "username": "test_user1"},
    ]


def test_reports_of_trainings_are_no_pings(over, run):
    run("extract-device-status-responses", "2026-11-01", "2026-12-01", "all.json")

    assert len(json.loads(over.object("results/responses/all.json"))) == 3 * 4


def test_no_pings_make_an_empty_list(study, run):
    run("extract-device-status-responses", "2020-01-01", "2020-01-02", "none.json")

    assert study.object("results/responses/none.json") == b"[]"


@pytest.mark.parametrize("name", ["../x", "", "a//b", ".hidden", "a b"])
def test_a_filename_that_leads_elsewhere_is_refused(study, run, name):
    with pytest.raises(CommandError, match="a key is names"):
        run("extract-train-responses", study.pk, name)


@pytest.mark.parametrize("day", ["22/11/2026", "2026-13-01", "now"])
def test_a_day_that_is_none_is_refused(db, run, day):
    with pytest.raises(CommandError, match="start"):
        run("extract-device-status-responses", day, "2026-11-23", "x.json")
