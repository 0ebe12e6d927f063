"""Which devices take part in which project."""

import pytest
from tests.fleets import PASSWORD, Fleet

from foedus.core.errors import NotFound
from foedus.records.accounts.models import Organisation
from foedus.records.fleet.models import Device
from foedus.records.fleet.queries import assigned_devices
from foedus.records.learning.models import Membership
from foedus.services.fleet.accounts import create_account
from foedus.services.fleet.assignment import assign, assign_by_prefix, move

pytestmark = pytest.mark.django_db(transaction=True)


def names(fleet):
    return sorted(device.user.username for device in assigned_devices(fleet.row.project))


@pytest.fixture
def people(clock):
    return [create_account(name, PASSWORD, now=clock()) for name in ("test_a", "test_b", "Test_c", "other")]


def test_a_prefix_replaces_the_whole_set(ports, clock, people):
    fleet = Fleet.create(ports, clock, 2)

    found = assign_by_prefix(ports, fleet.actor, fleet.pk, "test_", now=clock())

    assert [device.user.username for device in found] == ["test_a", "test_b"]
    assert names(fleet) == ["test_a", "test_b"]


def test_a_prefix_of_nobody_changes_nothing(ports, clock):
    fleet = Fleet.create(ports, clock, 2)
    before = names(fleet)

    with pytest.raises(NotFound, match=r"Could not find any usernames starting with 'nobody'\."):
        assign_by_prefix(ports, fleet.actor, fleet.pk, "nobody", now=clock())

    assert names(fleet) == before


def test_another_organisations_phones_are_not_taken(ports, clock):
    other = Organisation.objects.create(name="other", created_at=clock())
    create_account("theirs", PASSWORD, organisation=other, now=clock())
    fleet = Fleet.create(ports, clock, 1)

    with pytest.raises(NotFound):
        assign_by_prefix(ports, fleet.actor, fleet.pk, "theirs", now=clock())


def test_a_device_is_in_one_project_at_most_even_if_two_want_it_at_once(ports, clock, people, in_threads):
    fleets = [Fleet.create(ports, clock, 0) for _ in range(2)]

    results = in_threads(
        *(lambda fleet=fleet: assign(ports, fleet.actor, fleet.pk, people, now=clock()) for fleet in fleets * 3)
    )

    assert [r for r in results if isinstance(r, Exception)] == []
    active = Membership.objects.filter(state=Membership.State.ACTIVE)
    assert sorted(active.values_list("participant", flat=True)) == sorted(d.participant_id for d in people)


def test_one_device_can_be_moved_and_taken_out(ports, clock, people):
    one, two = Fleet.create(ports, clock, 0), Fleet.create(ports, clock, 0)

    move(ports, one.actor, people[0], one.pk, now=clock())
    move(ports, one.actor, people[1], one.pk, now=clock())
    move(ports, one.actor, people[0], two.pk, now=clock())
    move(ports, one.actor, people[1], None, now=clock())

    assert (names(one), names(two)) == ([], ["test_a"])


def test_when_an_absent_phone_leaves_the_round_may_start(ports, clock):
    fleet = Fleet.create(ports, clock, 2, responses_ratio_threshold="1.00")
    fleet.say(0)
    assert fleet.phases() == ["waiting"]

    move(ports, fleet.actor, fleet.devices[1], None, now=clock())

    assert fleet.phases() == ["collecting"]


def test_assigning_again_changes_nothing(ports, clock):
    fleet = Fleet.create(ports, clock, 2)
    fleet.say()
    before = list(Membership.objects.values())

    assign(ports, fleet.actor, fleet.pk, list(Device.objects.all()), now=clock())

    assert list(Membership.objects.values()) == before
    assert fleet.phases() == ["collecting"]
