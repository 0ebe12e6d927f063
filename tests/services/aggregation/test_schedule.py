"""What an outside clock is told of a model, where no worker of our own runs."""

from dataclasses import replace

import pytest

from foedus.connectors.schedule.memory import MemorySchedule
from foedus.core.errors import Unavailable
from foedus.ports.schedule import ScheduleUnavailable
from foedus.records.aggregation.models import FederatedModel
from foedus.services.aggregation.models import delete_model

pytestmark = pytest.mark.django_db


@pytest.fixture
def schedule():
    return MemorySchedule()


@pytest.fixture
def scheduled(bench, schedule):
    bench.ports = replace(bench.ports, schedule=schedule)
    return bench


@pytest.mark.parametrize("allowed", [True, False])
def test_a_new_model_fires_if_it_may(scheduled, schedule, allowed):
    model = scheduled.model(allow_aggregation=allowed)

    assert schedule.entries == {model.pk: allowed}


def test_pausing_and_allowing_are_passed_on_and_other_changes_are_not(scheduled, schedule):
    model = scheduled.model()

    scheduled.change(model, allow_aggregation=False)
    assert schedule.entries == {model.pk: False}
    scheduled.change(model, allow_aggregation=True)
    assert schedule.entries == {model.pk: True}
    schedule.entries.clear()
    scheduled.change(model, name="renamed")
    assert schedule.entries == {}


def test_a_deleted_model_fires_no_more(scheduled, schedule, django_capture_on_commit_callbacks):
    model = scheduled.model()

    with django_capture_on_commit_callbacks(execute=True):
        delete_model(scheduled.ports, scheduled.developer, model.pk, now=scheduled.clock())

    assert schedule.entries == {}


def test_a_model_that_cannot_be_scheduled_is_not_made(scheduled):
    class Away(MemorySchedule):
        def keep(self, model, *, active):
            raise ScheduleUnavailable(model=model)

    scheduled.ports = replace(scheduled.ports, schedule=Away())

    with pytest.raises(Unavailable):
        scheduled.model()

    assert not FederatedModel.objects.exists()
