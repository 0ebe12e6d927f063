import pytest
from tests.contracts.exchange import ExchangeContract

from foedus.connectors.exchange.memory import MemoryExchanges
from foedus.core.errors import Unavailable
from foedus.ports.exchange import BEGINNING, Member


class TestMemory(ExchangeContract):
    @pytest.fixture
    def exchange(self):
        return MemoryExchanges()

    @pytest.fixture
    def told(self):
        return {}


def test_one_that_is_down_says_so():
    exchanges = MemoryExchanges()
    first = Member("study", "0" * 32, {})
    exchanges.open(first)
    with exchanges.attach(first, BEGINNING) as link:
        exchanges.down = True
        with pytest.raises(Unavailable):
            link.take(timeout_s=0.1)
