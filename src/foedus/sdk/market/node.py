"""Calls of a node, each with a token that it gives for a grant which the caller's key has signed."""

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

import httpx

from foedus.core.errors import Invalid
from foedus.sdk.link import Link
from foedus.sdk.problems import BadAnswer
from foedus.wallet.grants import write_grant
from foedus.wallet.keys import Key

BELOW = "/node/services"
_AUDIENCE = "/api/v1" + BELOW
_GRANT = "urn:ietf:params:oauth:grant-type:jwt-bearer"
_ASSERTION = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
_FORM = {"Content-Type": "application/x-www-form-urlencoded"}
_SPARE_S = 60.0  # a token is renewed this long before its end
_LOGIN_S = 3600.0  # of the day that a login holds


@dataclass(frozen=True, slots=True)
class Seat:
    """A place in a session: where it is, and the token that lets its participant in, which ``repr`` does not show."""

    url: str
    token: str

    def __repr__(self) -> str:
        return f"Seat(url={self.url!r})"


class Asking:
    """A link on which its owner's key signs for whatever token a call wants."""

    def __init__(self, link: Link, key: Key | None) -> None:
        self.link = link
        self._key = key
        self._tokens: dict[tuple[tuple[str, str], ...], tuple[str, float]] = {}

    @property
    def key(self) -> Key:
        """Raises Invalid where there is none."""
        if self._key is None:
            raise Invalid("this takes a key: Market(url, key)")
        return self._key

    def as_anybody(self, method: str, path: str, body: Any = None) -> Any:
        return self.link.json(method, path, body=body)

    def as_party(self, method: str, path: str, body: Any = None, content: bytes | None = None) -> Any:
        """A call of the market, logged in. ``content`` is JSON that goes as it is written."""
        headers = self._login()
        if content is not None:
            headers["Content-Type"] = "application/json"
        return self.link.json(method, path, body=body, content=content, headers=headers)

    def at_node(
        self, method: str, path: str, purpose: str, *, body: Any = None, params: Mapping[str, Any] | None = None,
        **claims: str,
    ) -> Any:  # fmt: skip
        headers = self._granted(purpose, claims)
        return self.link.json(method, BELOW + path, body=body, params=params, headers=headers)

    @contextmanager
    def download(self, path: str, purpose: str, **claims: str) -> Iterator[httpx.Response]:
        """Bytes as they come."""
        with self.link.stream("GET", BELOW + path, headers=self._granted(purpose, claims)) as response:
            yield response

    def _login(self) -> dict[str, str]:
        def ask() -> tuple[str, float]:
            fields = {
                "client_assertion_type": _ASSERTION,
                "client_assertion": write_grant(self.key, {}, now=time.time()),
            }
            return str(self._form("/auth/login", fields)["access_token"]), _LOGIN_S

        return self._bearer((), ask)

    def _granted(self, purpose: str, claims: Mapping[str, str]) -> dict[str, str]:
        def ask() -> tuple[str, float]:
            grant = write_grant(self.key, {"aud": f"{self.link.url}{_AUDIENCE}/{purpose}", **claims}, now=time.time())
            said = self._form(f"{BELOW}/oauth/token", {"grant_type": _GRANT, "assertion": grant})
            return str(said["access_token"]), float(said.get("expires_in", _SPARE_S))

        return self._bearer((("aud", purpose), *sorted(claims.items())), ask)

    def _bearer(self, what: tuple[tuple[str, str], ...], ask: Any) -> dict[str, str]:
        token, until = self._tokens.get(what, ("", 0.0))
        if time.monotonic() >= until:
            token, seconds = ask()
            self._tokens[what] = token, time.monotonic() + seconds - _SPARE_S
        return {"Authorization": f"Bearer {token}"}

    def _form(self, path: str, fields: Mapping[str, str]) -> Mapping[str, Any]:
        said = self.link.json("POST", path, content=urlencode(fields).encode(), headers=_FORM)
        if not isinstance(said, dict) or not isinstance(said.get("access_token"), str):
            raise BadAnswer(f"{path} gave no token")
        return said
