"""The market as its parties see it over HTTP, logged in by a key of their own."""

import json
import os
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self

import httpx

from foedus.core.errors import Invalid, PlatformError
from foedus.core.market.documents import Document
from foedus.wallet.grants import write_grant
from foedus.wallet.keys import Key

_ASSERTION = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"


class MarketRefuses(PlatformError):
    """The market refused."""


def new_key(path: Path) -> Key:
    """A key in a new file, which only its owner may read. Raises Invalid where there is one."""
    key = Key(os.urandom(32))  # all but one in 2**127 of these are keys
    try:
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(key.secret.hex() + "\n")
    except FileExistsError:
        raise Invalid(
            f"{path} is there already; a key that is written over is lost, and what it owns with it"
        ) from None
    except OSError as exc:
        raise Invalid(f"{path} cannot be written: {exc.strerror}") from exc
    return key


def read_key(path: Path) -> Key:
    try:
        return Key.from_hex(path.read_text())
    except OSError as exc:
        raise Invalid(f"{path} cannot be read: {exc.strerror}; make a key by: foedus market key {path}") from exc


class MarketClient:
    """Calls of the market's API. ``key`` is needed for whatever is somebody's."""

    def __init__(self, url: str, key: Key | None = None, *, transport: httpx.BaseTransport | None = None) -> None:
        self._http = httpx.Client(base_url=url.rstrip("/") + "/api/v1", timeout=60, transport=transport)
        if key is not None:
            grant = write_grant(key, {}, now=time.time())
            fields = {"client_assertion_type": _ASSERTION, "client_assertion": grant}
            token = self._said(self._http.post("/auth/login", data=fields))["access_token"]
            self._http.headers["Authorization"] = f"Bearer {token}"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._http.close()

    def get(self, path: str) -> Any:
        return self._said(self._http.get(path))

    def post(self, path: str, body: Any = None) -> Any:
        return self._said(self._http.post(path, json=body if body is not None else {}))

    def publish(self, document: Document) -> str:
        """The DID of what is published then. It goes as it is written: the order of its keys is signed."""
        headers = {"Content-Type": "application/json"}
        answer = self._http.post("/metadata/assets/ddo", content=document.raw.encode(), headers=headers)
        return str(self._said(answer)["id"])

    def seal(self, urls: Sequence[str]) -> str:
        """The addresses of an asset's files, as only the market's node reads them."""
        message = json.dumps([{"index": i, "url": url} for i, url in enumerate(urls)])
        sealed: str = self.post("/node/services/encrypt", {"message": message, "method": "PSK-RSA"})["hash"]
        return sealed

    def _said(self, answer: httpx.Response) -> Any:
        try:
            said = answer.json()
        except ValueError:
            said = {}
        if answer.is_success:
            return said
        what = said.get("error_description") if isinstance(said, dict) else ""
        raise MarketRefuses(what or f"the market answered {answer.status_code}")
