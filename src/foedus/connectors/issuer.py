"""What a provider of OpenID Connect publishes of itself: its addresses and its keys, kept for a while."""

import threading
import time
from collections.abc import Callable
from typing import Any

import httpx
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from jwt.algorithms import get_default_algorithms

from foedus.core.codecs import strict_json
from foedus.core.errors import Invalid
from foedus.ports.identity import ProviderUnavailable, SignInRefused

KEEP_S = 3600.0
AGAIN_S = 10.0  # the least time between two questions for keys, whatever keys are named to us
MAX_BYTES = 1 << 20
MIN_RSA_BITS = 2048
_MAX_DEPTH = 12


class Issuer:
    """One issuer's documents. Keys that were never seen are asked for once more: providers change theirs."""

    def __init__(
        self, issuer: str, *, client: httpx.Client | None = None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._issuer = issuer
        self._client = client or httpx.Client(timeout=httpx.Timeout(10.0), follow_redirects=False)
        self._clock = clock
        self._guard = threading.Lock()
        self._metadata: dict[str, Any] = {}
        self._metadata_at = float("-inf")
        self._keys: list[dict[str, Any]] = []
        self._keys_at = float("-inf")

    def metadata(self) -> dict[str, Any]:
        """The discovery document. Raises ProviderUnavailable."""
        with self._guard:
            return self._current_metadata()

    def key(self, kid: str | None, algorithm: str) -> Any:
        """The public key of that name for that algorithm. Raises SignInRefused, ProviderUnavailable."""
        with self._guard:
            now = self._clock()
            if now - self._keys_at > KEEP_S:
                self._fetch_keys(now)
            found = self._matching(kid, algorithm)
            if not found and now - self._keys_at >= AGAIN_S:
                self._fetch_keys(now)
                found = self._matching(kid, algorithm)
        if len(found) != 1:
            raise SignInRefused("the provider's answer is signed by a key that it does not have; begin anew")
        return _public_key(found[0], algorithm)

    def post(self, address: str, form: dict[str, str], auth: httpx.Auth | None) -> tuple[int, dict[str, Any]]:
        """Status and JSON object of an answer. Raises ProviderUnavailable."""
        return self._asked("POST", address, data=form, auth=auth)

    def _current_metadata(self) -> dict[str, Any]:
        now = self._clock()
        if now - self._metadata_at > KEEP_S:
            address = f"{self._issuer.rstrip('/')}/.well-known/openid-configuration"
            said = self._got(address)
            if said.get("issuer") != self._issuer:
                raise ProviderUnavailable("the provider calls itself by another name than FOEDUS_OIDC_ISSUER has")
            self._metadata, self._metadata_at = said, now
        return self._metadata

    def _fetch_keys(self, now: float) -> None:
        address = self._current_metadata().get("jwks_uri")
        keys = self._got(address).get("keys") if isinstance(address, str) else None
        if not isinstance(keys, list):
            raise ProviderUnavailable("the provider tells no keys")
        self._keys, self._keys_at = [key for key in keys if isinstance(key, dict)], now

    def _matching(self, kid: str | None, algorithm: str) -> list[dict[str, Any]]:
        usable = [
            key
            for key in self._keys
            if key.get("use", "sig") == "sig" and key.get("alg", algorithm) == algorithm and _fits(key, algorithm)
        ]
        return usable if kid is None else [key for key in usable if key.get("kid") == kid]

    def _got(self, address: str) -> dict[str, Any]:
        status, said = self._asked("GET", address)
        if status != httpx.codes.OK:
            raise ProviderUnavailable(f"the provider of identities answers {status}")
        return said

    def _asked(self, method: str, address: str, **more: Any) -> tuple[int, dict[str, Any]]:
        try:
            with self._client.stream(method, address, headers={"Accept": "application/json"}, **more) as response:
                body = bytearray()
                for chunk in response.iter_bytes(1 << 16):
                    body += chunk
                    if len(body) > MAX_BYTES:
                        raise ProviderUnavailable("the provider of identities says too much")
            said = strict_json.parse(bytes(body), max_depth=_MAX_DEPTH)
        except (httpx.HTTPError, httpx.InvalidURL, httpx.StreamError) as exc:
            raise ProviderUnavailable(
                f"the provider of identities does not answer ({type(exc).__name__}); try again in a moment"
            ) from None
        except Invalid:
            said = None
        if not isinstance(said, dict) or response.status_code >= 500:
            raise ProviderUnavailable(f"the provider of identities answers {response.status_code} and no JSON object")
        return response.status_code, said


def _fits(key: dict[str, Any], algorithm: str) -> bool:
    family = {"RS": "RSA", "PS": "RSA", "ES": "EC", "Ed": "OKP"}[algorithm[:2]]
    return key.get("kty") == family


def _public_key(jwk: dict[str, Any], algorithm: str) -> Any:
    """Raises SignInRefused for a key that is none, is private, or is too short."""
    try:
        public = {name: value for name, value in jwk.items() if name != "d"}
        key: Any = get_default_algorithms()[algorithm].from_jwk(public)
    except Exception:  # noqa: BLE001 - whatever a stranger's key makes of the library
        raise SignInRefused("the provider's key cannot be used") from None
    if isinstance(key, RSAPublicKey) and key.key_size < MIN_RSA_BITS:
        raise SignInRefused("the provider's key is too short to be trusted")
    return key
