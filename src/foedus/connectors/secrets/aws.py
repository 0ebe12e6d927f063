"""Secrets in AWS Secrets Manager: the service's own (``aws:``), and those FMA's settings name (``aws_secrets``)."""

import os
import re
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self
from urllib.parse import unquote

import httpx

from foedus.connectors.addresses import BadAddress, driver_of, split_address
from foedus.ports.secrets import BadSecretName, Secret, SecretMissing, SecretsUnavailable, check_name, new_secret

AWS_NAME = re.compile(r"[A-Za-z0-9/_+=.@:!-]{1,512}")  # also the form of an ARN; databases name theirs rds!...
ABSENT = {"ResourceNotFoundException", "InvalidRequestException"}  # the second: it is about to be deleted
FORBIDDEN = {"AccessDenied", "AccessDeniedException"}
EXTENSION_TIMEOUT_S = 5.0


class Vault:
    """Secrets Manager by boto3. Opened at first use, because clients do not survive a fork."""

    def __init__(self, *, endpoint: str | None = None, region: str | None = None, profile: str | None = None) -> None:
        self._endpoint = endpoint
        self._session_options = {"region_name": region, "profile_name": profile}
        self._opened: Any = None
        self._lock = threading.Lock()

    def read(self, name: str) -> Secret:
        with _translated(name, "read"):
            found = self._client.get_secret_value(SecretId=name)
        if "SecretString" not in found:
            raise SecretsUnavailable("This secret is binary; store it as text.", name=name)
        return Secret(found["SecretString"])

    def create(self, name: str, value: Secret) -> None:
        """Quietly does nothing when somebody else was faster."""
        with _translated(name, "create"):
            try:
                self._client.create_secret(Name=name, SecretString=value.reveal())
            except self._client.exceptions.ResourceExistsException:
                return

    @property
    def _client(self) -> Any:
        with driver_of("aws"):
            import boto3
            from botocore.config import Config
        with self._lock:
            if self._opened is None:
                calls = Config(connect_timeout=3, read_timeout=10, retries={"mode": "standard", "max_attempts": 3})
                session = boto3.session.Session(**self._session_options)
                self._opened = session.client("secretsmanager", endpoint_url=self._endpoint, config=calls)
            return self._opened


class AwsSecrets:
    """The secret ``signing-key`` is ``<prefix>signing-key`` in Secrets Manager, and is made there when it is needed.

    An account that may not create secrets can use those that are there.
    """

    def __init__(self, vault: Vault, prefix: str = "foedus/") -> None:
        self._vault = vault
        self._prefix = prefix

    @classmethod
    def from_url(cls, url: str, *, data: Path) -> Self:  # noqa: ARG003  (every connector is called the same way)
        parts, options = split_address(url, options=("endpoint", "region", "profile"))
        prefix = unquote(parts.path) or "foedus/"
        if parts.netloc or not AWS_NAME.fullmatch(prefix):
            raise BadAddress("Write aws: or aws:some/prefix/ of letters, digits and /_+=.@-.", scheme=parts.scheme)
        return cls(Vault(**options), prefix)

    def get(self, name: str) -> Secret:
        return self._vault.read(self._prefix + check_name(name))

    def get_or_create(self, name: str, n_bytes: int = 32) -> Secret:
        try:
            return self.get(name)
        except SecretMissing:
            self._vault.create(self._prefix + name, new_secret(n_bytes))
        return self.get(name)


class AwsSecretsManager:
    """What FMA's settings call ``aws_secrets``: secrets by the names that AWS knows them by.

    An environment variable of that very name wins. Next comes the extension that keeps secrets beside a function, if
    the environment says where it listens; else Secrets Manager itself. ``names``, unless empty, are all it gives.
    """

    def __init__(self, environment: Mapping[str, str], names: Sequence[str] = (), vault: Vault | None = None) -> None:
        self._environment = environment
        self._names = frozenset(names)
        self._vault = vault or Vault()

    @classmethod
    def from_settings(cls, names: Sequence[str]) -> Self:
        return cls(os.environ, names)

    def get_secret(self, name: str) -> Secret:
        """Raises BadSecretName, SecretMissing, SecretsUnavailable."""
        if not AWS_NAME.fullmatch(name):
            raise BadSecretName("AWS names secrets by letters, digits and /_+=.@-, or by an ARN.", name=name[:80])
        if self._names and name not in self._names:
            raise SecretMissing("The settings do not list this secret; add it to secrets_name.", name=name)
        if value := self._environment.get(name):
            return Secret(value)
        port = self._environment.get("PARAMETERS_SECRETS_EXTENSION_HTTP_PORT", "")
        return self._ask_extension(port, name) if port else self._vault.read(name)

    def _ask_extension(self, port: str, name: str) -> Secret:
        token = self._environment.get("AWS_SESSION_TOKEN", "")
        if not port.isdecimal():
            raise SecretsUnavailable("PARAMETERS_SECRETS_EXTENSION_HTTP_PORT has to be a number.", port=port[:20])
        try:
            with httpx.Client(trust_env=False, timeout=EXTENSION_TIMEOUT_S) as client:
                answer = client.get(
                    f"http://localhost:{port}/secretsmanager/get",
                    params={"secretId": name},
                    headers={"X-Aws-Parameters-Secrets-Token": token},
                )
        except httpx.HTTPError as exc:
            raise SecretsUnavailable("The secrets extension does not answer.", port=port, name=name) from exc
        return _from_extension(answer, name)


def _from_extension(answer: httpx.Response, name: str) -> Secret:
    if any(code in answer.text[:1000] for code in ABSENT):
        raise SecretMissing("There is no such secret; write it in AWS Secrets Manager.", name=name)
    if answer.status_code != httpx.codes.OK:
        raise SecretsUnavailable("The secrets extension refused.", name=name, status=answer.status_code)
    try:
        return Secret(answer.json()["SecretString"])
    except (ValueError, KeyError, TypeError) as exc:
        raise SecretsUnavailable("The secrets extension gave no text.", name=name) from exc


@contextmanager
def _translated(name: str, verb: str) -> Iterator[None]:
    from botocore.exceptions import BotoCoreError, ClientError, HTTPClientError

    try:
        yield
    except ClientError as exc:
        code = exc.response.get("Error", {}).get("Code", "")
        if code in ABSENT:
            raise SecretMissing("There is no such secret; write it in AWS Secrets Manager.", name=name) from exc
        if code in FORBIDDEN and verb == "create":
            text = "There is no such secret and this account may not create it; write it in AWS Secrets Manager."
            raise SecretMissing(text, name=name) from exc
        raise SecretsUnavailable(name=name, reason=code) from exc
    except (BotoCoreError, HTTPClientError) as exc:
        raise SecretsUnavailable(name=name, reason=type(exc).__name__) from exc
