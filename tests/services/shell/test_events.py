"""What happens in one transaction is told in its order, and wakes once."""

import pytest
from django.db import transaction
from tests import factories

from foedus.records.learning.queries import get_project, lock_project
from foedus.records.shell.models import Event
from foedus.services.shell.events import emit, emit_all, gathered

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def project(ports, clock):
    study = factories.Study.create(ports, clock)
    return get_project(study.key)


@pytest.fixture
def woken(ports):
    subscription = ports.bus.subscribe("project")
    return lambda: [message.subject for message in iter(lambda: subscription.next(timeout_s=0), None)]


def test_what_is_gathered_is_told_in_its_order_and_wakes_once(ports, clock, project, woken):
    before = project.event_seq

    with transaction.atomic():
        locked = lock_project(project.pk)
        with gathered(ports, locked):
            emit_all(ports, locked, "update.accepted", clock(), [{"n": 1}, {"n": 2}])
            emit(ports, locked, "round.combining", clock(), round=1)
        emit(ports, locked, "round.complete", clock(), round=1)

    rows = Event.objects.filter(stream=project.stream, seq__gt=before).order_by("seq")
    assert list(rows.values_list("seq", "kind", "data")) == [
        (before + 1, "update.accepted", {"n": 1}),
        (before + 2, "update.accepted", {"n": 2}),
        (before + 3, "round.combining", {"round": 1}),
        (before + 4, "round.complete", {"round": 1}),
    ]
    assert get_project(project.key).event_seq == before + 4
    assert woken() == [f"{project.stream}.round-combining.update-accepted", f"{project.stream}.round-complete"]


def test_what_is_gathered_for_nothing_is_told_nobody(ports, clock, project, woken):
    before = project.event_seq

    with pytest.raises(ZeroDivisionError), transaction.atomic(), gathered(ports, project):
        emit(ports, project, "round.complete", clock(), round=1 // 0)
    with transaction.atomic(), gathered(ports, project):
        pass

    assert get_project(project.key).event_seq == before
    assert woken() == []


def test_a_great_many_kinds_wake_everybody(ports, clock, project, woken):
    with transaction.atomic():
        locked = lock_project(project.pk)
        with gathered(ports, locked):
            for n in range(30):
                emit(ports, locked, f"kind.{n:03}", clock())

    assert woken() == [project.stream]
