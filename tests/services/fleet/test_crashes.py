"""Whatever moment a process dies in, repeating the calls counts every model once."""

import numpy as np
import pytest
from tests.fleets import Fleet, weights

from foedus.connectors.blobs.memory import MemoryBlobs
from foedus.core.errors import NotFound
from foedus.records.fleet.models import StatusReport, Submission
from foedus.records.learning.models import Checkpoint, Project, Round, Update
from foedus.records.shell.models import Event, Job
from foedus.services.fleet import availability, projects, training
from foedus.services.learning import combining
from foedus.services.learning.clock import tick

pytestmark = pytest.mark.django_db(transaction=True)


class Killed(BaseException):
    """Not an error that anybody would handle."""


def dies(*args, **kwargs):
    raise Killed


def dies_after(call):
    def run(*args, **kwargs):
        call(*args, **kwargs)
        raise Killed

    return run


@pytest.fixture
def fleet(ports, clock):
    fleet = Fleet.create(ports, clock)
    fleet.say()
    return fleet


def finish(fleet):
    for place in range(4):
        fleet.train(place, 0, weights(place))
    fleet.work()
    assert fleet.phases()[0] == "complete"
    assert Update.objects.count() == 4
    assert StatusReport.objects.filter(round__isnull=False).count() == 4
    assert [c.number for c in Checkpoint.objects.order_by("number")] == [0, 1]
    assert np.all(fleet.model(1) == 1.5)


@pytest.mark.parametrize("where", [(training, "store"), (training, "_keep"), (Submission, "save")])
def test_an_upload_that_dies_is_repeated(fleet, monkeypatch, where):
    with monkeypatch.context() as patch:
        patch.setattr(*where, dies)
        with pytest.raises(Killed):
            fleet.upload(0, 0, weights(0))
    assert not Submission.objects.exists()

    finish(fleet)


def test_an_upload_that_dies_when_it_is_stored_but_not_written_down_leaves_no_bytes(fleet, ports, monkeypatch):
    before = [blob.key for blob in ports.blobs.list()]

    with monkeypatch.context() as patch:
        patch.setattr(training, "lock_project", dies)
        with pytest.raises(Killed):
            fleet.upload(0, 0, weights(0))

    assert [blob.key for blob in ports.blobs.list()] == before


@pytest.mark.parametrize("name", ["_note", "record_update", "advance"])
@pytest.mark.parametrize("moment", ["before", "after"])
def test_a_report_that_dies_changes_nothing_and_is_repeated(fleet, monkeypatch, name, moment):
    fleet.upload(0, 0, weights(0))
    events = Event.objects.count()
    if name == "advance":
        StatusReport.objects.all().delete()
        Submission.objects.all().delete()

    with monkeypatch.context() as patch:
        patch.setattr(availability, name, dies if moment == "before" else dies_after(getattr(availability, name)))
        with pytest.raises(Killed):
            fleet.report(0, 0)

    assert not Update.objects.exists()
    assert not StatusReport.objects.filter(round__isnull=False).exists()
    assert Event.objects.count() == events
    finish(fleet)


def test_a_report_whose_answer_was_lost_is_repeated(fleet, monkeypatch):
    fleet.upload(0, 0, weights(0))
    with pytest.raises(Killed):
        dies_after(fleet.report)(0, 0)

    finish(fleet)


@pytest.mark.parametrize("where", [(combining, "_switch"), (combining, "close_complete"), (MemoryBlobs, "put_file")])
def test_a_close_that_dies_is_done_by_the_next_worker(fleet, ports, clock, monkeypatch, where):
    for place in range(4):
        fleet.train(place, 0, weights(place))
    with monkeypatch.context() as patch:
        patch.setattr(*where, dies)
        with pytest.raises(Killed):
            fleet.work()
    assert fleet.phases() == ["combining"]

    clock.passes(7)
    finish(fleet)


def test_a_ping_that_dies_before_the_round_starts_is_made_up_for_by_the_next_one(ports, clock, monkeypatch):
    fleet = Fleet.create(ports, clock, 1)
    with monkeypatch.context() as patch:
        patch.setattr(availability, "advance", dies)
        with pytest.raises(Killed):
            fleet.say()

    fleet.say()

    assert fleet.phases() == ["collecting"]


def test_ticks_at_once_decide_a_round_once(fleet, ports, clock, in_threads):
    fleet.upload(0, 0, weights())
    fleet.report(0, 0)
    clock.passes(3600)

    results = in_threads(*(lambda: tick(ports, now=clock()) for _ in range(6)))

    assert [r for r in results if isinstance(r, Exception)] == []
    assert fleet.phases() == ["invalid", "waiting"]
    assert Event.objects.filter(kind="round.invalid").count() == 1


def test_a_project_deleted_while_its_phones_train_is_simply_gone(fleet, ports, clock):
    request = fleet.request(0)
    projects.delete(ports, fleet.operator, fleet.pk, now=clock())

    with pytest.raises(NotFound):
        fleet.upload(0, 0, weights())
    said = availability.Said(details={}, request=request)
    with pytest.raises(NotFound):
        availability.report(ports, fleet.devices[0], said, now=clock())
    fleet.work()
    assert not Job.objects.exists()
    assert not Round.objects.exists()
    assert not Project.objects.exists()
