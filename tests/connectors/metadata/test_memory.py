from itertools import count

import pytest
from tests.contracts.metadata import MetadataContract

from foedus.connectors.metadata.memory import MemoryMetadata
from foedus.core.errors import Invalid


class MemoryWorld:
    def __init__(self, ports):
        self.metadata = MemoryMetadata.from_settings({}, ports)
        self._names = count(1)

    def opened(self):
        return self.metadata

    def model(self, **fields):
        return self.metadata.add_model(**fields)

    def client(self, model):
        name = f"client-{next(self._names)}"
        self.metadata.add_client(model, name)
        return name

    def leave(self, model, client):
        self.metadata.remove_client(model, client)

    def update(self, model, client, *, base=None):
        return self.metadata.add_update(model, client, f"updates/{next(self._names)}", base)

    def data(self, update):
        return self.metadata.data(update)

    def result(self, model):
        return f"aggregates/{next(self._names)}"

    def reason(self, update):
        return self.metadata.state(update)[1]


class TestMemoryMetadata(MetadataContract):
    @pytest.fixture
    def world(self, ports):
        return MemoryWorld(ports)


def test_an_option_that_means_nothing_is_refused(ports):
    with pytest.raises(Invalid, match="'url'"):
        MemoryMetadata.from_settings({"url": "x"}, ports)


def test_what_became_of_updates_can_be_looked_at(ports):
    world = MemoryWorld(ports)
    model = world.model()
    update = world.update(model, world.client(model))

    assert world.metadata.state(update) == ("waiting", "")
    assert world.metadata.aggregates(model) == ()
