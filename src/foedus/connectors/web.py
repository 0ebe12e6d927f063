"""Web servers that somebody else names: asked at the address that was checked, and at no other."""

import ssl
from collections.abc import Mapping
from contextlib import ExitStack
from urllib.parse import SplitResult, urlsplit

import httpx

from foedus.connectors.internet import Guard, IPAddress, literal
from foedus.core.errors import Invalid


class Web:
    """What ``guard`` permits of it. Safe to use from many threads."""

    def __init__(self, guard: Guard) -> None:
        self._guard = guard
        self._trust = ssl.create_default_context()

    def client(self, timeouts: httpx.Timeout) -> httpx.Client:
        # trust_env would let a proxy out of the environment connect to what was not checked.
        return httpx.Client(verify=self._trust, timeout=timeouts, follow_redirects=False, trust_env=False)

    def asked(
        self, client: httpx.Client, stack: ExitStack, url: SplitResult, headers: Mapping[str, str]
    ) -> httpx.Response:
        """The answer to GET, whose body is still to come. Raises Private, HostUnknown, Invalid, and what httpx does."""
        addresses = self._guard.checked(url.hostname or "", url.port or (443 if url.scheme == "https" else 80))
        for address in addresses[:-1]:
            try:
                return _asked_at(client, stack, url, headers, address)
            except httpx.ConnectError:
                continue
        return _asked_at(client, stack, url, headers, addresses[-1])


def _asked_at(
    client: httpx.Client, stack: ExitStack, url: SplitResult, headers: Mapping[str, str], address: IPAddress
) -> httpx.Response:
    netloc = literal(address) if url.port is None else f"{literal(address)}:{url.port}"
    there = url._replace(netloc=netloc, fragment="").geturl()
    own = {"Host": url.netloc, "Accept-Encoding": "identity", "User-Agent": "foedus"}
    request = client.stream("GET", there, headers={**own, **headers}, extensions={"sni_hostname": url.hostname})
    return stack.enter_context(request)


def checked(text: str, name: str) -> SplitResult:
    """Raises Invalid for what is no address of a web server, or holds a password; ``name`` is what it came as."""
    try:
        url = urlsplit(text.strip())
        _ = url.port
    except ValueError:
        raise Invalid(f"{name} is no address; it looks like https://host/file.csv") from None
    if url.scheme not in ("http", "https") or not url.hostname or not url.netloc.isascii():
        raise Invalid(f"{name} begins with https:// or http://, and its host is ASCII")
    if url.username is not None or url.password is not None:
        raise Invalid("credentials do not belong into an address")
    if any(ord(character) <= 32 or ord(character) == 127 for character in url.geturl()):
        raise Invalid("an address has no blanks: write %20")
    return url
