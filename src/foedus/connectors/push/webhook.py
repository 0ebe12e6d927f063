"""Push messages as signed HTTP requests to one address.

The address of the receiver is looked up, checked and then connected to by number, so that a name which changes its mind
between check and use (DNS rebinding) leads nowhere; certificates are still checked against the name.
"""

import ipaddress
import ssl
import time
from collections.abc import Callable
from pathlib import Path
from typing import Self
from urllib.parse import SplitResult

import httpx

from foedus.connectors.addresses import BadAddress, flag, split_address
from foedus.connectors.internet import IPAddress, Resolve, is_public, literal, look_up
from foedus.core.errors import Invalid
from foedus.core.signatures import sign
from foedus.ports.push import PushMessage, PushUnavailable, to_json
from foedus.ports.secrets import Secret, SecretMissing

TIMEOUTS = httpx.Timeout(10.0, connect=5.0)
LEAST_SECRET_CHARACTERS = 16


class WebhookPush:
    """Delivery by POST to ``url``; taken over when the answer is 2xx. Redirects are not followed.

    https is required, except to this very machine; other than public addresses need ``allow_private``. ``ca`` is a
    file of certificates to trust instead of the usual ones.
    """

    def __init__(
        self,
        url: str,
        secret: Secret,
        *,
        allow_private: bool = False,
        ca: str | None = None,
        clock: Callable[[], float] = time.time,
        resolve: Resolve = look_up,
    ) -> None:
        self._url = checked_url(url)
        if len(secret) < LEAST_SECRET_CHARACTERS:
            raise BadAddress(f"The signing secret of a webhook has at least {LEAST_SECRET_CHARACTERS} characters.")
        self._secret = secret
        self._allow_private = allow_private
        self._clock = clock
        self._resolve = resolve
        # trust_env would let a proxy out of the environment connect to what we have not checked.
        self._client = httpx.Client(
            verify=ssl.create_default_context(cafile=ca), timeout=TIMEOUTS, follow_redirects=False, trust_env=False
        )

    @classmethod
    def from_url(cls, url: str, *, data: Path) -> Self:
        """``webhook:https://host/path``; options ``allow_private=true``, ``ca=FILE``, ``secret_file=FILE``.

        The secret is the text of ``secret_file``, by default ``secrets/push-webhook`` in the data folder.
        """
        target = url.removeprefix("webhook:")
        parts, options = split_address(target, ("allow_private", "ca", "secret_file"))
        secret_file = data / options.get("secret_file", "secrets/push-webhook")
        try:
            secret = Secret(secret_file.read_text("utf-8").strip())
        except (OSError, UnicodeDecodeError) as exc:
            raise SecretMissing("Write the secret that signs webhooks into this file.", path=str(secret_file)) from exc
        bare = parts._replace(query="").geturl()
        return cls(bare, secret, allow_private=flag(options, "allow_private"), ca=options.get("ca"))

    def send(self, message: PushMessage) -> None:
        body = to_json(message)
        if not (message.id.isascii() and message.id.isprintable()):
            raise Invalid("A message's id travels in a header, which takes printable ASCII.", message_id=message.id)
        try:
            addresses = self._checked_addresses()
            for address in addresses[:-1]:
                try:
                    return self._post(address, message.id, body)
                except httpx.ConnectError:
                    continue
            return self._post(addresses[-1], message.id, body)
        except (httpx.HTTPError, OSError, UnicodeError) as exc:
            raise PushUnavailable(host=self._url.hostname, reason=type(exc).__name__) from exc

    def close(self) -> None:
        self._client.close()

    def _checked_addresses(self) -> list[IPAddress]:
        host = self._url.hostname or ""
        port = self._url.port or (443 if self._url.scheme == "https" else 80)
        addresses = [ipaddress.ip_address(found) for found in dict.fromkeys(self._resolve(host, port))]
        if not addresses:
            raise PushUnavailable("The name of the webhook's host has no address.", host=host)
        if not self._allow_private and not all(is_public(address) for address in addresses):
            raise PushUnavailable("The webhook leads into a private network; allow_private=true permits it.", host=host)
        if self._url.scheme == "http" and not all(address.is_loopback for address in addresses):
            raise PushUnavailable("A webhook to another machine has to be https.", host=host)
        return addresses

    def _post(self, address: IPAddress, message_id: str, body: bytes) -> None:
        host = literal(address)
        netloc = host if self._url.port is None else f"{host}:{self._url.port}"
        headers = {
            "Host": self._url.netloc,
            "Content-Type": "application/json",
            "Foedus-Message-Id": message_id,
            "Foedus-Signature": sign(self._secret, body, int(self._clock())),
        }
        url = self._url._replace(netloc=netloc).geturl()
        sni = {"sni_hostname": self._url.hostname}
        with self._client.stream("POST", url, content=body, headers=headers, extensions=sni) as response:
            if not response.is_success:
                raise PushUnavailable("The webhook refused.", host=self._url.hostname, status=response.status_code)


def checked_url(url: str) -> SplitResult:
    parts, _ = split_address(url)
    if parts.scheme not in {"https", "http"} or not parts.hostname or not parts.netloc.isascii():
        raise BadAddress("Write webhook:https://host/path, the host in ASCII.", scheme=parts.scheme)
    if parts.username is not None or parts.password is not None:
        raise BadAddress("Credentials do not belong into a webhook's address; its messages are signed.")
    return parts
