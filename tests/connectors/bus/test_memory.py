import pytest
from tests.contracts.bus import BusContract

from foedus.connectors.bus.memory import MemoryBus


class TestMemoryBus(BusContract):
    @pytest.fixture
    def bus(self, tmp_path):
        bus = MemoryBus.from_url("memory:", data=tmp_path)
        yield bus
        bus.close()

    @pytest.fixture
    def other(self, bus):
        return bus
