"""A provider of OpenID Connect: authorization code with PKCE, and an ID token of which everything is checked.

OpenID Connect Core 1.0 (section 3.1.3.7 says what is checked), Discovery 1.0, RFC 7636 and RFC 9700.
"""

import base64
import hashlib
import hmac
import ipaddress
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode, urlsplit

import httpx
import jwt

from foedus.connectors.issuer import Issuer
from foedus.core.errors import Invalid
from foedus.ports.identity import Attempt, Identity, ProviderUnavailable, SignInRefused
from foedus.ports.secrets import Secret

# Of a provider's own keys alone: no secret that both sides share, and never none.
ALGORITHMS = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA")
LEEWAY_S = 60.0  # by which the clocks of two machines may differ
_MAX_TOKEN = 64 << 10
_MAX_SUBJECT = 255  # as the standard has it


@dataclass(frozen=True, slots=True, kw_only=True)
class OidcOptions:
    """What the operator says of the provider. Without ``client_secret`` the server is a public client."""

    issuer: str
    client_id: str
    client_secret: Secret
    scopes: tuple[str, ...] = ("openid", "profile", "email")

    def __post_init__(self) -> None:
        if not self.client_id:
            raise Invalid("FOEDUS_OIDC_CLIENT_ID is what the provider calls this server; it is missing")
        check_address(self.issuer)


class OidcIdentities:
    """One issuer, in which this server is ``client_id``."""

    def __init__(self, options: OidcOptions, provider: Issuer | None = None) -> None:
        self._options = options
        self._provider = provider or Issuer(options.issuer)

    def begin(self, attempt: Attempt, callback: str) -> str:
        asked = {
            "response_type": "code",
            "client_id": self._options.client_id,
            "redirect_uri": callback,
            "scope": " ".join(dict.fromkeys(("openid", *self._options.scopes))),
            "state": attempt.state,
            "nonce": attempt.nonce,
            "code_challenge": _challenge(attempt.verifier),
            "code_challenge_method": "S256",
        }
        return _with_query(self._address("authorization_endpoint"), asked)

    def finish(self, attempt: Attempt, callback: str, code: str) -> Identity:
        token = self._exchanged(code, callback, attempt.verifier)
        claims = self._claims(token)
        if not hmac.compare_digest(str(claims.get("nonce", "")).encode(), attempt.nonce.encode()):
            raise SignInRefused("the provider's answer belongs to another sign-in; begin anew")
        return Identity(self._options.issuer, claims["sub"], claims)

    def end(self, after: str) -> str | None:
        address = self._provider.metadata().get("end_session_endpoint")
        if not address:
            return None
        asked = {"client_id": self._options.client_id, **({"post_logout_redirect_uri": after} if after else {})}
        return _with_query(self._address("end_session_endpoint"), asked)

    def _exchanged(self, code: str, callback: str, verifier: str) -> str:
        """The ID token that the provider gives for the code. Raises SignInRefused."""
        form = {"grant_type": "authorization_code", "code": code, "redirect_uri": callback, "code_verifier": verifier}
        secret, auth = self._options.client_secret.reveal(), None
        methods = self._provider.metadata().get("token_endpoint_auth_methods_supported") or ["client_secret_basic"]
        if secret and "client_secret_basic" in methods:
            auth = httpx.BasicAuth(_encoded(self._options.client_id), _encoded(secret))
        else:
            form["client_id"] = self._options.client_id
            form |= {"client_secret": secret} if secret else {}
        status, said = self._provider.post(self._address("token_endpoint"), form, auth)
        token = said.get("id_token")
        if status != httpx.codes.OK or not isinstance(token, str) or len(token) > _MAX_TOKEN:
            raise SignInRefused(f"the provider refuses: {str(said.get('error', status))[:80]}; begin anew")
        return token

    def _claims(self, token: str) -> dict[str, Any]:
        """What the token says, if its signature, issuer, audience and times are right. Raises SignInRefused."""
        try:
            header = jwt.get_unverified_header(token)
            if header.get("alg") not in ALGORITHMS or "crit" in header:
                raise SignInRefused("the provider's answer is not signed by a key of its own")
            claims: dict[str, Any] = jwt.decode(
                token, self._provider.key(header.get("kid"), header["alg"]), algorithms=[header["alg"]],
                audience=self._options.client_id, issuer=self._options.issuer, leeway=LEEWAY_S,
                options={"require": ["iss", "sub", "aud", "exp", "iat"]},
            )  # fmt: skip
        except (jwt.PyJWTError, TypeError, ValueError) as exc:
            # The library says which check failed, and nothing of what the token holds.
            raise SignInRefused(f"the provider's answer is not valid ({type(exc).__name__}); begin anew") from None
        if not 0 < len(claims["sub"]) <= _MAX_SUBJECT or not claims["sub"].isprintable():
            raise SignInRefused("the provider's answer names nobody")
        party = claims.get("azp", self._options.client_id if not isinstance(claims["aud"], list) else None)
        if party != self._options.client_id and (party is not None or len(claims["aud"]) > 1):
            raise SignInRefused("the provider's answer was made for somebody else")
        return claims

    def _address(self, name: str) -> str:
        address = self._provider.metadata().get(name)
        try:
            return check_address(address)
        except Invalid:
            raise ProviderUnavailable(f"the provider tells no usable {name}") from None


def check_address(address: Any) -> str:
    """An ``https://`` address; ``http://`` on this machine alone, for trying things out. Raises Invalid."""
    try:
        parts = urlsplit(address if isinstance(address, str) else "")
        usable = bool(parts.hostname) and not parts.username and not parts.fragment
    except ValueError:
        usable = False
    if not usable or not (parts.scheme == "https" or (parts.scheme == "http" and _is_loopback(parts.hostname or ""))):
        raise Invalid("FOEDUS_OIDC_ISSUER is the https:// address of a provider of OpenID Connect")
    return str(address)


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _challenge(verifier: str) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()


def _with_query(address: str, asked: dict[str, str]) -> str:
    return f"{address}{'&' if urlsplit(address).query else '?'}{urlencode(asked)}"


def _encoded(text: str) -> str:
    """As a form writes it, which is what the Basic header of RFC 6749 is made of."""
    return urlencode({"": text})[1:]
