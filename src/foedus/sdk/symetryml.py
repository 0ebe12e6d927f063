"""A customer of the SymetryML face: signs what it asks for, and seals what has to be sealed.

clinic = Customer("https://foedus.example", "clinic", secret_key)
clinic.call("POST", "projects?pid=visits", {})
clinic.call("POST", "projects/fusion/create?pid=all", {"values": cells}, sealed=True)
"""

import base64
import hashlib
import json
import os
import ssl
from collections.abc import Mapping
from datetime import UTC, datetime
from types import TracebackType
from typing import Any, Self

import httpx
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from foedus.core import errors
from foedus.core.errors import PlatformError
from foedus.core.symetryml.dates import format_date
from foedus.core.symetryml.signing import Message, sign

TIMEOUT_S = 60.0
_NONCE_BYTES = 12
_BY_STATUS: Mapping[int, type[PlatformError]] = {
    401: errors.Unauthenticated, 403: errors.Forbidden, 404: errors.NotFound, 409: errors.Conflict,
    413: errors.TooLarge, 429: errors.QuotaExceeded,
}  # fmt: skip


class Customer:
    """Nothing is retried. Raises the errors of ``foedus.core.errors``, with the server's text."""

    def __init__(
        self, url: str, cid: str, secret: str, *, transport: httpx.BaseTransport | None = None,
        tls: ssl.SSLContext | None = None,
    ) -> None:  # fmt: skip
        self.cid, self._secret = cid, secret
        self._http = httpx.Client(base_url=url, transport=transport, verify=tls or True, timeout=TIMEOUT_S)
        key = HKDF(SHA256(), 32, None, b"foedus symetryml body v2").derive(base64.b64decode(secret))
        self._cipher = AESGCM(key)
        self._kid = hashlib.sha256(f"foedus key id\n{cid}\n{secret}".encode()).hexdigest()[:16]

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        self._http.close()

    def call(self, verb: str, path: str, body: Any = None, *, sealed: bool = False) -> dict[str, Any]:
        """``values`` of the answer. ``path`` is below the customer's resources, with its query; sealed answers in it
        are opened.
        """
        target = f"/symetry/rest/{self.cid}/{path}"
        resource, _, query = target.partition("?")
        content = b"" if body is None else json.dumps(body).encode()
        if sealed:
            content = json.dumps(self._sealed(content, f"request\n{verb}\n{resource}\n{self.cid}")).encode()
        date = format_date(datetime.now(UTC))
        message = Message(
            verb=verb, date=date, customer=self.cid, path=resource.encode(), query=query.encode(), body=content
        )
        headers = {"Authorization": sign(message, self._secret), "sym-date": date}
        try:
            response = self._http.request(verb, target, content=content, headers=headers)
            answer = response.json()
        except httpx.HTTPError as exc:
            raise errors.Unavailable(f"the server does not answer: {type(exc).__name__}") from exc
        except ValueError:
            raise errors.Unavailable(f"the server answers {response.status_code} with something else") from None
        if response.status_code >= 300:
            kind = _BY_STATUS.get(response.status_code)
            kind = kind or (errors.Unavailable if response.status_code >= 500 else errors.Invalid)
            raise kind(str(answer.get("statusString")), status=response.status_code)
        about = f"answer\n{verb}\n{resource}\n{self.cid}"
        return {name: self._opened(value, about) for name, value in answer.get("values", {}).items()}

    def _sealed(self, plain: bytes, about: str) -> dict[str, Any]:
        nonce = os.urandom(_NONCE_BYTES)
        text = self._cipher.encrypt(nonce, plain, about.encode())
        encoded = [base64.b64encode(part).decode() for part in (nonce, text)]
        return {"v": 2, "kid": self._kid, "nonce": encoded[0], "ct": encoded[1]}

    def _opened(self, value: Any, about: str) -> Any:
        if not isinstance(value, dict) or value.keys() != {"v", "kid", "nonce", "ct"}:
            return value
        try:
            nonce, text = (base64.b64decode(value[part]) for part in ("nonce", "ct"))
            return json.loads(self._cipher.decrypt(nonce, text, about.encode()))
        except (InvalidTag, ValueError):
            raise errors.Unavailable("the sealed answer cannot be opened: it was changed on its way") from None
