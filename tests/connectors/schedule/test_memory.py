import pytest
from tests.contracts.schedule import ScheduleContract

from foedus.connectors.addresses import BadAddress
from foedus.connectors.schedule.memory import MemorySchedule
from foedus.connectors.schedule.none import Without


class TestMemorySchedule(ScheduleContract):
    @pytest.fixture
    def schedule(self, tmp_path):
        return MemorySchedule.from_url("memory:", data=tmp_path)

    @pytest.fixture
    def entries(self, schedule):
        return lambda: schedule.entries


def test_without_a_schedule_nothing_happens(tmp_path):
    schedule = Without.from_url("none:", data=tmp_path)

    schedule.keep(7, active=True)
    schedule.drop(7)


@pytest.mark.parametrize(("cls", "url"), [(Without, "none:x"), (MemorySchedule, "memory://x")])
def test_an_address_that_means_nothing_is_refused(tmp_path, cls, url):
    with pytest.raises(BadAddress):
        cls.from_url(url, data=tmp_path)
