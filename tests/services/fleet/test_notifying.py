"""Telling phones that they are invited, when the push service does what it should and when it does not."""

from dataclasses import replace

import pytest
from tests.fleets import Fleet, weights

from foedus.connectors.push.memory import MemoryPush
from foedus.core.errors import Invalid, Unavailable
from foedus.ports.push import PushUnavailable
from foedus.records.learning.models import Invitation, Membership, Project
from foedus.records.shell.models import Job
from foedus.services.fleet import notifying
from foedus.services.fleet.notifying import MAX_ATTEMPTS, UNREACHABLE
from foedus.services.learning.waiting import reasons_of
from foedus.services.shell import jobs

pytestmark = pytest.mark.django_db(transaction=True)


class BrokenPush(MemoryPush):
    """Takes ``works`` messages, then raises ``error``."""

    def __init__(self, works=0, error=PushUnavailable):
        super().__init__()
        self.works = works
        self.error = error

    def send(self, message):
        if len(self.sent) >= self.works:
            raise self.error
        super().send(message)


@pytest.fixture
def fleet(ports, clock):
    return Fleet.create(ports, clock)


def attempt(ports, clock):
    """What a worker does with the next job."""
    job = jobs.claim(clock())
    try:
        notifying.notify(ports, job, now=clock())
    except Unavailable as exc:
        jobs.postpone(job, str(exc), clock())
        clock.passes(61)


def test_everybody_invited_is_told_once(fleet, ports, clock):
    fleet.say()

    fleet.work()

    (push,) = ports.push.sent
    assert sorted(push.recipients) == sorted(device.user.username for device in fleet.devices)
    assert push.data == {
        "type": "train", "validDate": int(clock().timestamp() * 1000) + 3_600_000, "request": fleet.request(0),
        "project": fleet.pk, "round": 0, "trainingMode": "BASELINE",
    }  # fmt: skip
    assert (push.kind, push.ttl_s, push.title, push.text) == ("train", 3600, "", "")
    assert not Invitation.objects.filter(notified_at=None).exists()


def test_a_message_tried_later_is_valid_until_the_same_moment(fleet, ports, clock):
    fleet.say()
    clock.passes(600)

    fleet.work()

    (push,) = ports.push.sent
    assert push.ttl_s == 3000
    assert push.data["validDate"] == int(clock().timestamp() * 1000) + 3_000_000


def test_many_are_told_in_batches_and_nobody_twice_after_a_failure(fleet, ports, clock, monkeypatch):
    monkeypatch.setattr(notifying, "BATCH", 2)
    fleet.say()
    broken = replace(ports, push=BrokenPush(works=1))

    attempt(broken, clock)
    attempt(ports, clock)

    first, second = [*broken.push.sent, *ports.push.sent]
    assert len(first.recipients) == len(second.recipients) == 2
    assert not set(first.recipients) & set(second.recipients)
    assert not Job.objects.exists()


def test_a_push_that_fails_for_good_burns_no_timeout(fleet, ports, clock):
    fleet.say()
    broken = replace(ports, push=BrokenPush())

    for _ in range(MAX_ATTEMPTS):
        attempt(broken, clock)

    assert fleet.phases() == ["invalid", "waiting"]
    assert not Job.objects.exists()
    texts = [reason.text for reason in reasons_of(Project.objects.get(pk=fleet.pk), clock())]
    assert any(UNREACHABLE in text for text in texts)

    fleet.say()
    fleet.work()
    assert fleet.phases() == ["invalid", "collecting"]
    assert len(ports.push.sent) == 1


def test_the_round_goes_on_with_those_who_were_told(ports, clock, monkeypatch):
    fleet = Fleet.create(ports, clock, 4, valid_round_training_threshold="0.50")
    monkeypatch.setattr(notifying, "BATCH", 2)
    fleet.say()
    broken = replace(ports, push=BrokenPush(works=1, error=Invalid))

    attempt(broken, clock)
    told = set(broken.push.sent[0].recipients)
    for place, device in enumerate(fleet.devices):
        if device.user.username in told:
            fleet.train(place, 0, weights(1))

    assert fleet.phases() == ["combining"]
    assert Membership.objects.filter(obstacle=UNREACHABLE).count() == 2


def test_a_round_that_is_over_tells_nobody(fleet, ports, clock):
    fleet.say()
    for place in range(4):
        fleet.train(place, 0, weights())

    fleet.work()

    assert [push.data["round"] for push in ports.push.sent] == [1]
