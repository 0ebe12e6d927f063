import pytest
from hypothesis import given
from hypothesis import strategies as st

from foedus.core.signatures import BadSignature, sign, verify_signature

NOW = 1_700_000_000


def test_a_signature_is_the_hmac_of_the_time_a_dot_and_the_body():
    # printf '1700000000.{}' | openssl dgst -sha256 -hmac secret
    assert (
        sign("secret", b"{}", NOW) == "t=1700000000,v1=b8569b78799ff9e3cbff0fc2d63a33a2b57f3282abd07c37ae5e8e7d79a5f163"
    )


@given(st.text(), st.binary())
def test_what_was_signed_is_verified(secret, body):
    verify_signature(secret, sign(secret, body, NOW), body, now=NOW)


def test_another_body_secret_or_time_is_refused():
    header = sign("secret", b"body", NOW)

    for secret, changed, body in (
        ("other", header, b"body"),
        ("secret", header, b"Body"),
        ("secret", header.replace(str(NOW), str(NOW + 1)), b"body"),
        ("secret", header[:-1], b"body"),
        ("secret", header.upper(), b"body"),
    ):
        with pytest.raises(BadSignature):
            verify_signature(secret, changed, body, now=NOW)


@pytest.mark.parametrize("age_s", [-301, 301, 10_000_000])
def test_a_signature_is_good_for_a_while_only(age_s):
    header = sign("secret", b"body", NOW)

    verify_signature("secret", header, b"body", now=NOW + 300)
    verify_signature("secret", header, b"body", now=NOW - 300)
    with pytest.raises(BadSignature):
        verify_signature("secret", header, b"body", now=NOW + age_s)


def test_while_a_secret_changes_either_signature_will_do():
    _, _, digest = sign("old", b"body", NOW).partition(",")
    header = f"{sign('new', b'body', NOW)}, {digest}"

    verify_signature("old", header, b"body", now=NOW)
    verify_signature("new", header, b"body", now=NOW)


@pytest.mark.parametrize(
    "header",
    ["", "t=", "v1=", "t=1", "t=x,v1=y", f"t={NOW}", f"t={NOW},t={NOW},v1=a", "t=-1,v1=a", "t=²,v1=a", "," * 2000],
)
def test_garbage_is_no_signature(header):
    with pytest.raises(BadSignature):
        verify_signature("secret", header, b"body", now=NOW)


@given(st.text(max_size=200))
def test_a_made_up_header_is_never_believed(header):
    with pytest.raises(BadSignature):
        verify_signature("secret", header, b"body", now=NOW)
