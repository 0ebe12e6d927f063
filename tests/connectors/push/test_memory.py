import json

import pytest
from tests.contracts.push import PushContract

from foedus.connectors.push.memory import MemoryPush
from foedus.ports.push import to_json


class TestMemoryPush(PushContract):
    @pytest.fixture
    def push(self, tmp_path):
        return MemoryPush.from_url("memory:", data=tmp_path)

    @pytest.fixture
    def delivered(self, push):
        return lambda: [json.loads(to_json(message)) for message in push.sent]
