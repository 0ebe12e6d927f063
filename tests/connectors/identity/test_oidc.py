"""A provider of OpenID Connect over HTTP, well-behaved and hostile."""

import base64
import hmac
import json
import time
from urllib.parse import parse_qs, urlsplit

import httpx
import jwt
import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from tests.servers.oidc import CLIENT, CLIENT_SECRET, provider_running, rsa_key

from foedus.connectors.identity.oidc import OidcIdentities, OidcOptions
from foedus.connectors.issuer import AGAIN_S, KEEP_S, Issuer
from foedus.core.errors import Invalid
from foedus.ports.identity import Attempt, ProviderUnavailable, SignInRefused
from foedus.ports.secrets import Secret

CALLBACK = "https://fl.test/symetry/sso/callback"
ATTEMPT = Attempt("state", "nonce", "verifier" * 6)


@pytest.fixture
def provider():
    with provider_running() as running:
        yield running


def options(provider, **changed):
    given = {"issuer": provider.issuer, "client_id": CLIENT, "client_secret": Secret(CLIENT_SECRET)}
    return OidcOptions(**given | changed)


@pytest.fixture
def identities(provider):
    return OidcIdentities(options(provider))


def code_of(identities, attempt=ATTEMPT):
    answer = httpx.get(identities.begin(attempt, CALLBACK))
    return parse_qs(urlsplit(answer.headers["location"]).query)["code"][0]


def signed_in(identities):
    return identities.finish(ATTEMPT, CALLBACK, code_of(identities))


def test_somebody_signs_in(provider, identities):
    found = signed_in(identities)

    assert (found.issuer, found.subject) == (provider.issuer, "u-1")
    assert found.claims["preferred_username"] == "clinic"


def test_a_code_is_good_once(identities):
    code = code_of(identities)
    identities.finish(ATTEMPT, CALLBACK, code)

    with pytest.raises(SignInRefused, match="invalid_grant"):
        identities.finish(ATTEMPT, CALLBACK, code)


def test_a_code_is_of_no_use_without_its_verifier(identities):
    code = code_of(identities)

    with pytest.raises(SignInRefused, match="invalid_grant"):
        identities.finish(Attempt("state", "nonce", "another" * 7), CALLBACK, code)


def test_wrong_client_credentials_are_refused_and_not_repeated(provider):
    identities = OidcIdentities(options(provider, client_secret=Secret("hush")))

    with pytest.raises(SignInRefused, match="invalid_client") as caught:
        signed_in(identities)
    assert "hush" not in str(caught.value)


def now():
    return int(time.time())


DAY_S = 86_400  # these are made when tests are collected, long before they run
HOSTILE_CLAIMS = {
    "an audience of somebody else": {"aud": "others"},
    "several audiences without saying who asked": {"aud": [CLIENT, "others"]},
    "made for somebody else": {"aud": [CLIENT, "others"], "azp": "others"},
    "made for somebody else alone": {"azp": "others"},
    "another issuer": {"iss": "https://evil.test"},
    "expired": {"exp": now() - 120},
    "without an end": {"exp": None},
    "from the future": {"iat": now() + DAY_S, "exp": now() + DAY_S + 300},
    "not valid yet": {"nbf": now() + DAY_S},
    "another nonce": {"nonce": "stolen"},
    "without a nonce": {"nonce": None},
    "about nobody": {"sub": ""},
    "about a number": {"sub": 7},
    "about too much": {"sub": "x" * 256},
}


@pytest.mark.parametrize("changed", HOSTILE_CLAIMS.values(), ids=HOSTILE_CLAIMS)
def test_claims_that_are_wrong_are_refused(provider, identities, changed):
    provider.tamper = lambda claims: {k: v for k, v in (claims | changed).items() if v is not None}

    with pytest.raises(SignInRefused):
        signed_in(identities)


def test_two_audiences_are_fine_if_this_server_asked(provider, identities):
    provider.tamper = lambda claims: claims | {"aud": ["others", CLIENT], "azp": CLIENT}

    assert signed_in(identities).subject == "u-1"


def test_clocks_may_differ_by_a_minute(provider, identities):
    provider.tamper = lambda claims: claims | {"iat": now() + 50, "exp": now() + 300}

    assert signed_in(identities).subject == "u-1"


def public_pem(provider):
    return provider.keys["k1"][0].public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


def written(header, claims, key=b""):
    """A token by hand: libraries refuse to write these."""
    parts = b".".join(_part(json.dumps(value).encode()) for value in (header, claims))
    return (parts + b"." + (_part(hmac.digest(key, parts, "sha256")) if key else b"")).decode()


def _part(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=")


def flipped(token):
    head, body, signature = token.split(".")
    return f"{head}.{body}.{'A' if signature[0] != 'A' else 'B'}{signature[1:]}"


HOSTILE_SIGNATURES = {
    "unsigned": lambda provider, claims: written({"alg": "none"}, claims),
    "unsigned, in other letters": lambda provider, claims: written({"alg": "nOnE", "kid": "k1"}, claims),
    "by the client's secret": lambda provider, claims: written({"alg": "HS256"}, claims, CLIENT_SECRET.encode()),
    # What fooled libraries that let a token choose how it is checked.
    "by the public key as a secret": lambda provider, claims: written(
        {"alg": "HS256", "kid": "k1"}, claims, public_pem(provider)
    ),
    "by another key of that name": lambda provider, claims: jwt.encode(
        claims, rsa_key(number=1), "RS256", headers={"kid": "k1"}
    ),
    "by a key that nobody knows": lambda provider, claims: jwt.encode(
        claims, provider.keys["k1"][0], "RS256", headers={"kid": "k9"}
    ),
    "in another way than the key is for": lambda provider, claims: jwt.encode(
        claims, provider.keys["k1"][0], "PS256", headers={"kid": "k1"}
    ),
    "and changed": lambda provider, claims: flipped(provider.signed(claims)),
    "with a condition that is not understood": lambda provider, claims: provider.signed(claims, crit=["x"], x=1),
    "without an algorithm": lambda provider, claims: written({"kid": "k1"}, claims),
    "as no token at all": lambda provider, claims: "a.b",
}


@pytest.mark.parametrize("made", HOSTILE_SIGNATURES.values(), ids=HOSTILE_SIGNATURES)
def test_tokens_that_the_provider_did_not_sign_are_refused(provider, identities, made):
    provider.sign = lambda claims: made(provider, claims)

    with pytest.raises(SignInRefused):
        signed_in(identities)


@pytest.mark.filterwarnings("ignore:The RSA key is 1024 bits")  # the provider is warned
def test_a_key_that_is_too_short_is_refused(provider, identities):
    provider.keys["k1"] = (rsa_key(1024), "RS256")

    with pytest.raises(SignInRefused, match="short"):
        signed_in(identities)


class Seconds:
    def __init__(self):
        self.now = 0.0

    def __call__(self):
        return self.now


def test_keys_that_change_are_found_and_strange_names_do_not_make_us_ask_for_ever(provider):
    clock = Seconds()
    identities = OidcIdentities(options(provider), Issuer(provider.issuer, clock=clock))
    signed_in(identities)
    provider.rotate("k2")
    clock.now += AGAIN_S

    assert signed_in(identities).subject == "u-1"  # an elliptic curve this time

    kept = dict(provider.keys)
    provider.sign = lambda claims: jwt.encode(claims, kept["k2"][0], "ES256", headers={"kid": "k9"})
    for _ in range(3):
        with pytest.raises(SignInRefused):
            signed_in(identities)
    assert provider.asked.count("/jwks") == 2

    clock.now += KEEP_S + 1
    provider.rotate("k3", algorithm="RS256")
    signed_in(identities)
    assert provider.asked.count("/jwks") == 3


def test_a_provider_that_calls_itself_otherwise_is_not_believed(provider, identities):
    provider.issuer += "/other"

    with pytest.raises(ProviderUnavailable, match="another name"):
        identities.begin(ATTEMPT, CALLBACK)


def test_a_provider_that_would_take_codes_in_the_clear_is_not_used(provider, identities):
    provider.metadata = {"token_endpoint": "http://provider.test/token"}

    with pytest.raises(ProviderUnavailable, match="token_endpoint"):
        signed_in(identities)


def test_a_provider_that_is_away_is_unavailable(provider):
    identities = OidcIdentities(OidcOptions(issuer="http://127.0.0.1:1", client_id="c", client_secret=Secret("")))

    with pytest.raises(ProviderUnavailable):
        identities.begin(ATTEMPT, CALLBACK)


@pytest.mark.parametrize("issuer", ["http://provider.test", "ftp://a", "", "https://u:p@provider.test", "https://"])
def test_an_issuer_is_an_https_address(issuer):
    with pytest.raises(Invalid, match="FOEDUS_OIDC_ISSUER"):
        OidcOptions(issuer=issuer, client_id="c", client_secret=Secret(""))


def test_signing_out_leads_to_the_provider(provider, identities):
    assert identities.end("https://fl.test/bye") == (
        f"{provider.url}/logout?client_id=foedus&post_logout_redirect_uri=https%3A%2F%2Ffl.test%2Fbye"
    )
