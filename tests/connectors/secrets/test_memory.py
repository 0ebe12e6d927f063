import pytest
from tests.contracts.secrets import SecretsContract

from foedus.connectors.secrets.memory import MemorySecrets
from foedus.ports.secrets import Secret


class TestMemorySecrets(SecretsContract):
    @pytest.fixture
    def secrets(self, tmp_path):
        return MemorySecrets.from_url("memory:", data=tmp_path)

    @pytest.fixture
    def provide(self, secrets):
        return lambda name, value: secrets._secrets.update({name: Secret(value)})


def test_secrets_may_be_given_from_the_start():
    assert MemorySecrets({"signing-key": "s3cr3t"}).get("signing-key").reveal() == "s3cr3t"
