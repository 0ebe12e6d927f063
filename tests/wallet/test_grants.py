import json
from base64 import urlsafe_b64decode, urlsafe_b64encode

import pytest

from foedus.wallet.grants import BadGrant, read_grant, write_grant
from foedus.wallet.keys import Key

NOW = 1_800_000_000.0
KEY = Key(bytes([1]) * 32)
CLAIMS = {"aud": "/api/v1/node/services/execute", "sub": "ab" * 32, "did": "did:nv:" + "cd" * 32}


def grant(**claims):
    return write_grant(KEY, {**CLAIMS, **claims}, now=NOW)


def base64(raw):
    return urlsafe_b64encode(raw).rstrip(b"=").decode()


def changed(token, part, **claims):
    parts = token.split(".")
    value = json.loads(urlsafe_b64decode(parts[part] + "=" * (-len(parts[part]) % 4)))
    parts[part] = base64(json.dumps({**value, **claims}).encode())
    return ".".join(parts)


@pytest.mark.parametrize("personal", [True, False])
def test_a_grant_says_who_asks_for_what(personal):
    found = read_grant(write_grant(KEY, CLAIMS, now=NOW, personal=personal), now=NOW + 3600)

    assert (found.issuer, found.subject, found.did) == (KEY.address, CLAIMS["sub"], CLAIMS["did"])
    assert found.audience.endswith("/execute")
    assert found.execution == ""


def test_a_login_may_be_a_personal_message_of_65_bytes_that_does_not_say_so():
    said = ".".join(base64(json.dumps(part).encode()) for part in ({"alg": "ES256K"}, {"iss": KEY.address, "iat": NOW}))

    assert read_grant(f"{said}.{base64(KEY.sign_message(said.encode()))}", now=NOW).issuer == KEY.address


def test_either_of_the_two_keys_behind_a_signature_may_be_the_issuers():
    tokens = [write_grant(KEY, {"sub": str(i)}, now=NOW) for i in range(20)]  # v is 0 for some and 1 for others

    assert {read_grant(token, now=NOW).issuer for token in tokens} == {KEY.address}


@pytest.mark.parametrize("claims", [{"sub": "ef" * 32}, {"iss": Key(bytes([2]) * 32).address}, {"exp": NOW + 7200}])
def test_a_changed_claim_is_noticed(claims):
    with pytest.raises(BadGrant, match="not signed"):
        read_grant(changed(grant(), 1, **claims), now=NOW)


def test_the_issuer_is_compared_whatever_its_capitals():
    assert read_grant(grant(iss=KEY.address.lower()), now=NOW).issuer == KEY.address


@pytest.mark.parametrize(
    ("token", "complaint"),
    [
        ("", "three parts"),
        ("a.b", "three parts"),
        ("a.b.c.d", "three parts"),
        ("e30.e30.*", "base64url"),
        ("e30.e30." + base64(bytes(63)), "64 bytes"),
        ("W10.e30." + base64(bytes(64)), "objects"),
        ("e30.e30." + base64(bytes(64)), "ES256K"),
        ("x" * 9000, "characters"),
        (changed(grant(), 0, alg="none"), "ES256K"),
        (changed(grant(), 0, alg="HS256"), "ES256K"),
        (grant(iss="somebody"), "address"),
        (grant(iat=None), "iat"),
        (grant(iat=10**400), "iat"),
        (grant(iat=NOW + 100), "future"),
        (grant(exp=NOW - 1), "expired"),
        (grant(exp=NOW + 10**6), "a day"),
        (grant(sub=7), "sub"),
    ],
)
def test_what_is_no_good_grant_is_refused_with_the_reason(token, complaint):
    with pytest.raises(BadGrant, match=complaint):
        read_grant(token, now=NOW)


def test_a_grant_without_an_end_ends_after_an_hour():
    token = write_grant(KEY, {**CLAIMS}, now=NOW)

    with pytest.raises(BadGrant, match="expired"):
        read_grant(token, now=NOW + 3601)
