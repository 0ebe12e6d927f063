import pytest
from tests.contracts.blobs import BlobsContract

from foedus.connectors.blobs.memory import MemoryBlobs


class TestMemoryBlobs(BlobsContract):
    holds_blobs_in_memory = True

    @pytest.fixture
    def blobs(self, tmp_path):
        return MemoryBlobs.from_url("memory:", data=tmp_path)
