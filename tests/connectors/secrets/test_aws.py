from uuid import uuid4

import boto3
import pytest
from tests.contracts.secrets import SecretsContract
from tests.servers.extension import secrets_extension
from tests.servers.processes import free_port

from foedus.connectors.addresses import BadAddress
from foedus.connectors.secrets.aws import AwsSecrets, AwsSecretsManager, Vault
from foedus.ports.secrets import BadSecretName, SecretMissing, SecretsUnavailable


@pytest.fixture
def client(s3_endpoint):
    """Secrets Manager of the same server that plays S3."""
    client = boto3.client("secretsmanager", endpoint_url=s3_endpoint)
    yield client
    client.close()


@pytest.fixture
def prefix():
    return f"{uuid4().hex}/"


@pytest.fixture
def secrets(s3_endpoint, prefix, tmp_path):
    return AwsSecrets.from_url(f"aws:{prefix}?endpoint={s3_endpoint}", data=tmp_path)


@pytest.fixture
def manager(s3_endpoint):
    """Makes a manager that sees just this environment."""
    return lambda environment=(), names=(): AwsSecretsManager(dict(environment), names, Vault(endpoint=s3_endpoint))


class TestAwsSecrets(SecretsContract):
    @pytest.fixture
    def secrets(self, secrets):
        return secrets

    @pytest.fixture
    def provide(self, client, prefix):
        return lambda name, value: client.create_secret(Name=prefix + name, SecretString=value)


def test_a_secret_stands_under_its_prefix(secrets, client, prefix):
    made = secrets.get_or_create("signing-key")

    assert client.get_secret_value(SecretId=f"{prefix}signing-key")["SecretString"] == made.reveal()


def test_a_binary_secret_is_an_error(secrets, client, prefix):
    client.create_secret(Name=f"{prefix}signing-key", SecretBinary=b"\xff\x00")

    with pytest.raises(SecretsUnavailable, match="binary"):
        secrets.get("signing-key")


def test_a_store_that_is_away_is_unavailable(s3_endpoint, tmp_path):
    secrets = AwsSecrets.from_url(f"aws:?endpoint=http://127.0.0.1:{free_port()}", data=tmp_path)

    with pytest.raises(SecretsUnavailable):
        secrets.get_or_create("signing-key")


@pytest.mark.parametrize("url", ["aws://host/x", "aws:a%20b", "aws:?colour=red", "aws:" + "a" * 600])
def test_an_address_that_means_nothing_is_refused(tmp_path, url):
    with pytest.raises(BadAddress):
        AwsSecrets.from_url(url, data=tmp_path)


def test_a_variable_of_that_very_name_wins(manager):
    found = manager({"fma/database": '{"u": "p"}'}).get_secret("fma/database")

    assert found.reveal() == '{"u": "p"}'


def test_without_variable_and_extension_secrets_manager_is_asked(manager, client, prefix):
    client.create_secret(Name=f"{prefix}database", SecretString="s3cr3t")

    assert manager().get_secret(f"{prefix}database").reveal() == "s3cr3t"


def test_a_secret_that_is_nowhere_is_missing(manager, prefix):
    with pytest.raises(SecretMissing, match="write it"):
        manager().get_secret(f"{prefix}database")


def test_only_listed_secrets_are_given_when_there_is_a_list(manager):
    secrets = manager({"a": "1", "b": "2"}, names=["a"])

    assert secrets.get_secret("a").reveal() == "1"
    with pytest.raises(SecretMissing, match="secrets_name"):
        secrets.get_secret("b")


@pytest.mark.parametrize("name", ["", "a b", "a\n", "ä", "a" * 513])
def test_what_aws_would_not_take_as_a_name_is_refused(manager, name):
    with pytest.raises(BadSecretName):
        manager().get_secret(name)


def test_the_extension_is_asked_with_the_session_token(manager):
    with secrets_extension({"fma/database": "s3cr3t"}, token="t0ken") as port:
        environment = {"PARAMETERS_SECRETS_EXTENSION_HTTP_PORT": str(port), "AWS_SESSION_TOKEN": "t0ken"}

        secrets = manager(environment)

        assert secrets.get_secret("fma/database").reveal() == "s3cr3t"
        with pytest.raises(SecretMissing):
            secrets.get_secret("fma/other")


def test_an_extension_that_refuses_is_an_error_without_the_token(manager):
    with secrets_extension({"a": "s3cr3t"}, token="t0ken") as port:
        environment = {"PARAMETERS_SECRETS_EXTENSION_HTTP_PORT": str(port), "AWS_SESSION_TOKEN": "wr0ng"}

        with pytest.raises(SecretsUnavailable, match="401") as error:
            manager(environment).get_secret("a")

    assert "wr0ng" not in str(error.value)


@pytest.mark.parametrize("port", ["", "x", "80x"])
def test_an_extension_that_is_not_there_is_an_error(manager, port):
    environment = {"PARAMETERS_SECRETS_EXTENSION_HTTP_PORT": port or str(free_port())}

    with pytest.raises(SecretsUnavailable):
        manager(environment).get_secret("a")
