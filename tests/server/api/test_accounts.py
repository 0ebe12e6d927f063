"""The commands that make accounts and assign them."""

import re
from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from tests.server.api.conftest import Study

from foedus.records.accounts.models import Organisation, User
from foedus.records.fleet.models import Device
from foedus.records.fleet.queries import assigned_devices

pytestmark = pytest.mark.django_db


def names_of(study):
    return sorted(device.user.username for device in assigned_devices(study.row.project))


def test_users_get_names_passwords_and_sample_indices(run):
    printed = run("createusers", 3, "--prefix", "test_user", "--samples-index-start", 5)

    header, *rows = [line.split(", ") for line in printed.splitlines()]
    assert header == ["username", "password", "samples_index"]
    assert [(name, index) for name, _, index in rows] == [("test_user1", "5"), ("test_user2", "6"), ("test_user3", "7")]
    for name, password, index in rows:
        assert re.fullmatch("[A-Za-z0-9]{10}", password)
        assert User.objects.get(username=name).check_password(password)
        assert Device.objects.get(user__username=name).samples_index == int(index)
    assert len({password for _, password, _ in rows}) == 3


def test_a_passwords_length_may_be_chosen(run):
    assert re.search(r"^user1, \w{24}, 0$", run("createusers", 1, "--length", 24), re.MULTILINE)


def test_the_first_name_that_is_taken_stops_it_and_the_earlier_accounts_stay(ports, clock, run):
    run("create-single-user", "user3", 0)
    out = StringIO()

    with pytest.raises(CommandError, match=r"^User 'user3' already exists\.$"):
        call_command("createusers", "4", ports=ports, now=clock(), stdout=out)

    assert re.fullmatch(r"username, password, samples_index\nuser1, \w+, 0\nuser2, \w+, 1\n", out.getvalue())
    assert set(User.objects.values_list("username", flat=True)) == {"user1", "user2", "user3"}


def test_a_single_user_is_shown_with_its_password(run):
    printed = run("create-single-user", "bob", 7)

    shown = re.fullmatch(
        "Created account with the following details:\nUsername: bob\nPassword: ([A-Za-z0-9]{10})\nSamples Index: 7\n",
        printed,
    )
    assert shown
    assert User.objects.get(username="bob").check_password(shown[1])


@pytest.mark.parametrize(
    ("command", "error"),
    [
        (["createusers", "0"], "must be 1 to"),
        (["createusers", "many"], "invalid"),
        (["createusers", "1", "--length", "0"], "must be 1 to 128"),
        (["createusers", "1", "--prefix", "a b"], "is not a username"),
        (["create-single-user", "bob", "-1"], "must be 0 to"),
        (["create-single-user", "bob", "0", "--organisation", "nowhere"], "Organisation 'nowhere' does not exist."),
        (["createusers", "1", "--prefix"], "expected one argument"),
    ],
)
def test_what_makes_no_account_is_refused(run, command, error):
    with pytest.raises(CommandError, match=error):
        run(*command)

    assert not User.objects.exists()


def test_accounts_may_belong_to_another_organisation(clock, run):
    Organisation.objects.create(name="acme", created_at=clock())

    run("createusers", 1, "--organisation", "acme")

    assert Device.objects.get().participant.organisation.name == "acme"


def test_users_are_assigned_by_prefix_in_place_of_those_before(study, run):
    run("createusers", 2, "--prefix", "wild")

    printed = run("assign", study.pk, "--prefix", "wild")

    assert printed == "2 user(s) assigned succesfully to project 'Test Baseline IID'\n"
    assert names_of(study) == ["wild1", "wild2"]


def test_users_leave_the_project_where_they_were(study, ports, clock, run):
    other = Study.begin(ports, clock, 0, title="Other")

    run("assign", other.pk, "--prefix", "test_user")

    assert (len(names_of(other)), names_of(study)) == (4, [])


def test_the_prefix_tells_upper_from_lower_case_and_is_no_pattern(study, run):
    for prefix in ("TEST_", "test%"):
        with pytest.raises(CommandError, match=f"^Could not find any usernames starting with '{prefix}'.$"):
            run("assign", study.pk, "--prefix", prefix)

    assert len(names_of(study)) == 4
