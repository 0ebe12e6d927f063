import itertools
import re
import sys

import pytest

from foedus.core.errors import Invalid
from foedus.ports.secrets import Secret, SecretMissing
from foedus.server.fma_settings import AggregatorSettings, FmaSettings, login_of, read, secrets_manager

_numbers = itertools.count()

WHOLE = """
INSTALLED_PACKAGES = ["fma_django_connectors"]
AGGREGATOR_SETTINGS = {
    "aggregator_connector_type": "DjangoAggConnector",
    "metadata_connector": {"type": "DjangoMetadataConnector"},
    "model_data_connector": {"type": None},
    "secrets_manager": "aws_secrets",
    "secrets_name": ["fma/database"],
}
API_SERVICE_SETTINGS = {
    "handler": "django_lambda_handler",
    "secrets_manager": "aws_secrets",
    "secrets_name": ["fma/other"],
}
"""


@pytest.fixture
def module(tmp_path, monkeypatch):
    """Writes a settings module; its name."""
    monkeypatch.syspath_prepend(tmp_path)

    def write(text):
        name = f"fma_settings_{next(_numbers)}"
        (tmp_path / f"{name}.py").write_text(text)
        return name

    yield write
    for name in [name for name in sys.modules if name.startswith("fma_settings_")]:
        del sys.modules[name]


def test_without_a_module_everything_has_its_default():
    settings = read("")

    assert settings == FmaSettings()
    assert settings.aggregator.aggregator_connector_type == "DjangoAggConnector"
    assert settings.aggregator.metadata_connector == {"type": "DjangoMetadataConnector"}
    assert settings.api_service.handler == "django_lambda_handler"


def test_the_documented_module_is_read(module):
    settings = read(module(WHOLE))

    assert settings.installed_packages == ("fma_django_connectors",)
    assert settings.aggregator.secrets_name == ("fma/database",)
    assert settings.aggregator == AggregatorSettings(secrets_name=("fma/database",))
    assert settings.api_service.secrets_name == ("fma/other",)


def test_what_a_module_leaves_out_has_its_default(module):
    assert read(module("")) == FmaSettings()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("INSTALLED_PACKAGES = 'x'", "INSTALLED_PACKAGES must be a list"),
        ("INSTALLED_PACKAGES = ['no_such_package']", "INSTALLED_PACKAGES: 'no_such_package' cannot be imported"),
        ("AGGREGATOR_SETTINGS = []", "AGGREGATOR_SETTINGS are an object"),
        ("AGGREGATOR_SETTINGS = {'colour': 'red'}", "AGGREGATOR_SETTINGS has no option 'colour'; it has aggregator_"),
        ("AGGREGATOR_SETTINGS = {'secrets_name': 'x'}", "AGGREGATOR_SETTINGS.secrets_name must be a list"),
        ("AGGREGATOR_SETTINGS = {'aggregator_connector_type': 'X'}", "connector_type: there is no 'X'; known: Django"),
        ("AGGREGATOR_SETTINGS = {'metadata_connector': {}}", "metadata_connector.type must be text, not None"),
        ("AGGREGATOR_SETTINGS = {'metadata_connector': {'type': 'X'}}", "type: there is no 'X'; known: Django"),
        ("AGGREGATOR_SETTINGS = {'model_data_connector': {'type': 7}}", "type must be text or None, not 7"),
        ("AGGREGATOR_SETTINGS = {'model_data_connector': {'type': 'X'}}", "there is no 'X'; known: file, memory, s3"),
        ("API_SERVICE_SETTINGS = {'handler': 'X'}", "handler: there is no 'X'; known: django_lambda_handler"),
        ("API_SERVICE_SETTINGS = {'secrets_manager': 'X'}", "secrets_manager: there is no 'X'; known: aws_secrets"),
    ],
)
def test_what_is_wrong_is_named_with_what_is_allowed(module, text, said):
    with pytest.raises(Invalid, match=re.escape(said)):
        read(module(text))


def test_a_module_that_is_not_there_is_named():
    with pytest.raises(Invalid, match=r"FMA_SETTINGS_MODULE: 'no\.such\.module' cannot be imported"):
        read("no.such.module")


def test_the_secrets_that_either_service_lists_are_given(module, monkeypatch):
    monkeypatch.setenv("fma/database", "1")
    monkeypatch.setenv("fma/other", "2")
    monkeypatch.setenv("fma/third", "3")

    manager = secrets_manager(read(module(WHOLE)))

    assert [manager.get_secret(name).reveal() for name in ("fma/database", "fma/other")] == ["1", "2"]
    with pytest.raises(SecretMissing, match="secrets_name"):
        manager.get_secret("fma/third")


@pytest.mark.parametrize(
    "text", ['{"username": "u", "password": "p", "engine": "postgres", "port": 5432}', '{"u": "p"}']
)
def test_a_databases_login_comes_in_either_form(text):
    assert login_of(Secret(text)) == ("u", "p")


@pytest.mark.parametrize("text", ["p4ssw0rd", '"p4ssw0rd"', "{}", '{"u": 7}', '{"username": "u", "password": ""}', "["])
def test_what_is_no_login_is_refused_without_showing_it(text):
    with pytest.raises(Invalid) as error:
        login_of(Secret(text))

    assert "p4ssw0rd" not in str(error.value)
