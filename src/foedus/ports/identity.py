"""Providers of identities: whom somebody turns out to be who signs in with an account that is not kept here."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from foedus.core.errors import NotFound, Unauthenticated, Unavailable


class SignInRefused(Unauthenticated):
    """The sign-in was refused; begin it anew."""


class ProviderUnavailable(Unavailable):
    """The provider of identities does not answer as it should; try again in a moment."""


class NoSignIn(NotFound):
    """Nobody signs in here: the operator of this server has not set FOEDUS_OIDC_ISSUER"""


@dataclass(frozen=True, slots=True)
class Attempt:
    """One sign-in on its way. ``state`` comes back with the answer, ``nonce`` within it; ``verifier`` proves who asked.

    The browser that begins keeps all three, so that nobody can end in one browser what was begun in another.
    """

    state: str
    nonce: str = field(repr=False)
    verifier: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Identity:
    """Somebody whom the provider vouches for: ``subject`` never changes and is never given to another."""

    issuer: str
    subject: str
    claims: Mapping[str, Any] = field(default_factory=dict, repr=False)


class Identities(Protocol):
    """One provider. Safe to use from many threads. All verbs raise ProviderUnavailable."""

    def begin(self, attempt: Attempt, callback: str) -> str:
        """Where to send the browser; the provider sends it back to ``callback``."""
        ...

    def finish(self, attempt: Attempt, callback: str, code: str) -> Identity:
        """Who it is that came back with ``code``. Raises SignInRefused."""
        ...

    def end(self, after: str) -> str | None:
        """Where to send a browser to sign out there, too, and then on to ``after``; None if there is no such place."""
        ...


class NoIdentities:
    """A server without a provider."""

    def begin(self, attempt: Attempt, callback: str) -> str:  # noqa: ARG002 - whatever is asked
        raise NoSignIn

    def finish(self, attempt: Attempt, callback: str, code: str) -> Identity:  # noqa: ARG002 - whatever is asked
        raise NoSignIn

    def end(self, after: str) -> str | None:  # noqa: ARG002 - whatever is asked
        raise NoSignIn
