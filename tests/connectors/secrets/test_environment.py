import pytest
from tests.contracts.secrets import SecretsContract

from foedus.connectors.addresses import BadAddress
from foedus.connectors.secrets.environment import EnvironmentSecrets
from foedus.ports.secrets import SecretMissing


class TestEnvironmentSecrets(SecretsContract):
    read_only = True

    @pytest.fixture
    def secrets(self, tmp_path):
        return EnvironmentSecrets.from_url("env:", data=tmp_path)

    @pytest.fixture
    def provide(self, monkeypatch):
        return lambda name, value: monkeypatch.setenv(f"FOEDUS_SECRET_{name.replace('-', '_').upper()}", value)


def test_a_missing_secret_names_its_variable():
    with pytest.raises(SecretMissing, match="FOEDUS_SECRET_SIGNING_KEY"):
        EnvironmentSecrets({}).get_or_create("signing-key")


def test_an_empty_variable_counts_as_missing():
    with pytest.raises(SecretMissing):
        EnvironmentSecrets({"FOEDUS_SECRET_A": ""}).get("a")


def test_an_address_that_means_nothing_is_refused(tmp_path):
    with pytest.raises(BadAddress):
        EnvironmentSecrets.from_url("env:PREFIX", data=tmp_path)
