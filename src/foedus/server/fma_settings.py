"""The Python module that FMA_SETTINGS_MODULE names: which connectors the federated models of FMA stand on.

    INSTALLED_PACKAGES = ["my_connectors"]
    AGGREGATOR_SETTINGS = {
        "aggregator_connector_type": "DjangoAggConnector",
        "metadata_connector": {"type": "DjangoMetadataConnector"},
        "model_data_connector": {"type": None},
        "secrets_manager": "aws_secrets",
        "secrets_name": ["fma/database"],
    }
    API_SERVICE_SETTINGS = {"handler": "django_lambda_handler", "secrets_manager": "aws_secrets"}

Read once. Without the variable everything has its default, and the embedded service needs none of it.
"""

import importlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib.metadata import EntryPoints, entry_points
from types import ModuleType
from typing import Any, Protocol

from foedus import bootstrap
from foedus.core.errors import Invalid
from foedus.core.options import construct
from foedus.core.registry import load, names
from foedus.options import Settings
from foedus.ports.secrets import Secret

AGG_CONNECTORS = "foedus.fma.agg_connectors"
METADATA_CONNECTORS = "foedus.fma.metadata_connectors"
API_HANDLERS = "foedus.fma.api_handlers"
SECRETS_MANAGERS = "foedus.fma.secrets_managers"
MODEL_DATA = "foedus.blobs"

_BUILT_IN = {"foedus", "fma_django_connectors"}  # the second: the original's package, whose names are known here


class SecretsManager(Protocol):
    """What a name of the group ``foedus.fma.secrets_managers`` leads to, by its class method ``from_settings(names)``.

    ``names`` are all the secrets that it may give; none: any.
    """

    def get_secret(self, name: str) -> Secret: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class AggregatorSettings:
    """The fields are the module's keys. What stands beside ``type`` are that connector's options."""

    aggregator_connector_type: str = "DjangoAggConnector"
    metadata_connector: Mapping[str, Any] = field(default_factory=lambda: {"type": "DjangoMetadataConnector"})
    model_data_connector: Mapping[str, Any] = field(default_factory=lambda: {"type": None})
    secrets_manager: str = "aws_secrets"
    secrets_name: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiServiceSettings:
    handler: str = "django_lambda_handler"
    secrets_manager: str = "aws_secrets"
    secrets_name: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class FmaSettings:
    installed_packages: tuple[str, ...] = ()
    aggregator: AggregatorSettings = field(default_factory=AggregatorSettings)
    api_service: ApiServiceSettings = field(default_factory=ApiServiceSettings)

    def load(self, group: str, name: str, key: str) -> Any:
        """What is registered under ``name``, by a package that is listed; ``key`` is named in complaints."""
        self.find(group, name, key)
        return load(group, name)

    def find(self, group: str, name: str, key: str) -> EntryPoints:
        """As ``load``, but nothing is imported."""
        points = entry_points(group=group, name=name)
        if not points:
            raise Invalid(f"{key}: there is no {name[:80]!r}; known: {', '.join(names(group)) or 'none'}")
        for point in points:
            package = point.module.split(".")[0]
            if package not in _BUILT_IN | set(self.installed_packages):
                raise Invalid(f"{key}: {name!r} comes from {package!r}, which INSTALLED_PACKAGES does not list")
        return points


def read(module: str) -> FmaSettings:
    """The settings in ``module``, which is imported. Raises Invalid naming the key and what is allowed there."""
    if not module:
        return FmaSettings()
    try:
        found = importlib.import_module(module)
    except ImportError as exc:
        raise Invalid(f"FMA_SETTINGS_MODULE: {module!r} cannot be imported: {exc}") from exc
    settings = FmaSettings(
        installed_packages=_installed(found),
        aggregator=construct(AggregatorSettings, getattr(found, "AGGREGATOR_SETTINGS", {}), "AGGREGATOR_SETTINGS"),
        api_service=construct(ApiServiceSettings, getattr(found, "API_SERVICE_SETTINGS", {}), "API_SERVICE_SETTINGS"),
    )
    _check(settings)
    return settings


@cache
def fma_settings() -> FmaSettings:
    """This process's, read once."""
    return read(bootstrap.settings().fma_settings_module)


def _installed(module: ModuleType) -> tuple[str, ...]:
    """INSTALLED_PACKAGES, each imported, so that one that is not installed stops the start."""
    packages = getattr(module, "INSTALLED_PACKAGES", [])
    if not isinstance(packages, list | tuple) or not all(isinstance(name, str) for name in packages):
        raise Invalid("INSTALLED_PACKAGES must be a list of names of packages")
    for name in packages:
        if name not in _BUILT_IN:
            try:
                importlib.import_module(name)
            except ImportError as exc:
                raise Invalid(f"INSTALLED_PACKAGES: {name!r} cannot be imported: {exc}") from exc
    return tuple(name.split(".")[0] for name in packages)


def _check(settings: FmaSettings) -> None:
    """A wrong name stops the start, not the first event."""
    agg, api = settings.aggregator, settings.api_service
    metadata, data = agg.metadata_connector.get("type"), agg.model_data_connector.get("type")
    for value, key, optional in (
        (metadata, "AGGREGATOR_SETTINGS.metadata_connector.type", False),
        (data, "AGGREGATOR_SETTINGS.model_data_connector.type", True),
    ):
        if not isinstance(value, str) and not (optional and value is None):
            raise Invalid(f"{key} must be text{' or None' if optional else ''}, not {value!r}")
    for group, name, key in (
        (AGG_CONNECTORS, agg.aggregator_connector_type, "AGGREGATOR_SETTINGS.aggregator_connector_type"),
        (METADATA_CONNECTORS, metadata, "AGGREGATOR_SETTINGS.metadata_connector.type"),
        (MODEL_DATA, data, "AGGREGATOR_SETTINGS.model_data_connector.type"),
        (SECRETS_MANAGERS, agg.secrets_manager, "AGGREGATOR_SETTINGS.secrets_manager"),
        (API_HANDLERS, api.handler, "API_SERVICE_SETTINGS.handler"),
        (SECRETS_MANAGERS, api.secrets_manager, "API_SERVICE_SETTINGS.secrets_manager"),
    ):
        if name is not None:
            settings.find(group, name, key)
    if agg.secrets_manager != api.secrets_manager:
        raise Invalid("the two services share one database: both secrets_manager have to be the same")


def secrets_manager(settings: FmaSettings) -> SecretsManager:
    """The one that both services ask; it gives what either of them lists, or anything if one lists nothing."""
    agg, api = settings.aggregator, settings.api_service
    found = settings.load(SECRETS_MANAGERS, agg.secrets_manager, "AGGREGATOR_SETTINGS.secrets_manager")
    listed = (*agg.secrets_name, *api.secrets_name) if agg.secrets_name and api.secrets_name else ()
    manager: SecretsManager = found.from_settings(listed)
    return manager


def database(options: Settings) -> dict[str, Any]:
    """Django's default database; user and password are in the secret FMA_DB_SECRET_PATH, if that is set."""
    found = bootstrap.database(options)
    if not options.database_secret:
        return found
    user, password = login_of(secrets_manager(fma_settings()).get_secret(options.database_secret))
    return {**found, "USER": user, "PASSWORD": password}


def login_of(secret: Secret) -> tuple[str, str]:
    """User and password out of a database's secret.

    It is JSON, ``{"username": ..., "password": ...}`` as AWS writes it, or ``{"<user>": "<password>"}``.
    """
    try:
        value = json.loads(secret.reveal())
    except ValueError:
        value = None
    if isinstance(value, dict):
        pair = (value["username"], value["password"]) if {"username", "password"} <= value.keys() else None
        pair = pair or (next(iter(value.items())) if len(value) == 1 else None)
        if pair and all(isinstance(part, str) and part for part in pair):
            return pair
    raise Invalid('the secret of FMA_DB_SECRET_PATH has to be {"username": ..., "password": ...} in JSON')
