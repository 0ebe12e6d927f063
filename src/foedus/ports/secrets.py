"""Secrets by name: signing keys, passwords of outside services."""

from typing import Protocol

from foedus.core.errors import NotFound, Unavailable


class SecretMissing(NotFound):
    """There is no secret of this name."""


class SecretsUnavailable(Unavailable):
    """The secret store does not answer."""


class Secret(str):
    """Text that does not show itself: ``repr`` and logs print stars; ``reveal`` gives the value."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "Secret('**********')"

    def __str__(self) -> str:
        return "**********"

    def __format__(self, format_spec: str) -> str:
        return format(str(self), format_spec)

    def reveal(self) -> str:
        return "".join(self)


class Secrets(Protocol):
    """Names are lower-case words joined by '-'. Values are text."""

    def get(self, name: str) -> Secret:
        """The secret. Raises SecretMissing naming how to provide it, SecretsUnavailable."""
        ...

    def get_or_create(self, name: str, n_bytes: int = 32) -> Secret:
        """The secret, made from ``n_bytes`` random bytes (URL-safe base64) when there is none yet.

        Two processes that call at the same moment get the same value. Raises SecretMissing where the store is read-only.
        """
        ...
