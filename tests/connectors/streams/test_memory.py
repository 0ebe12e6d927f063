import pytest
from tests.contracts.streams import StreamContract

from foedus.connectors.streams.memory import MemoryStreams


class TestMemory(StreamContract):
    @pytest.fixture
    def stream(self):
        return MemoryStreams()

    @pytest.fixture
    def info(self):
        return {"subject": "visits"}

    @pytest.fixture
    def publish(self, stream):
        return lambda *messages: stream.subjects["visits"].extend(messages)
