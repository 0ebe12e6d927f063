"""Secrets by name: signing keys, passwords of outside services."""

import re
import secrets
from typing import Protocol

from foedus.core.errors import Invalid, NotFound, Unavailable
from foedus.core.secret import Secret

__all__ = [
    "BadSecretName",
    "Secret",
    "SecretMissing",
    "Secrets",
    "SecretsUnavailable",
    "check_name",
    "new_secret",
]

NAME = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
MAX_NAME_CHARACTERS = 100


class BadSecretName(Invalid):
    """A secret's name is lower-case words of letters and digits joined by '-', at most 100 characters."""


class SecretMissing(NotFound):
    """There is no secret of this name."""


class SecretsUnavailable(Unavailable):
    """The secret store does not answer."""


def check_name(name: str) -> str:
    """``name``, if it may name a secret; raises BadSecretName."""
    if len(name) > MAX_NAME_CHARACTERS or not NAME.fullmatch(name):
        raise BadSecretName(name=name[:80])
    return name


def new_secret(n_bytes: int) -> Secret:
    """A secret of ``n_bytes`` random bytes as URL-safe base64. Raises Invalid below 16 bytes, which can be guessed."""
    if not 16 <= n_bytes <= 1024:
        raise Invalid("A secret has 16 to 1024 bytes.", n_bytes=n_bytes)
    return Secret(secrets.token_urlsafe(n_bytes))


class Secrets(Protocol):
    """Names are lower-case words joined by '-'. Values are text."""

    def get(self, name: str) -> Secret:
        """The secret. Raises SecretMissing naming how to provide it, SecretsUnavailable."""
        ...

    def get_or_create(self, name: str, n_bytes: int = 32) -> Secret:
        """The secret, made from ``n_bytes`` random bytes (URL-safe base64) when there is none yet.

        Two processes that call at the same moment get the same. Raises SecretMissing where the store is read-only.
        """
        ...
