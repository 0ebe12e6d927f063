import pytest
from hypothesis import given
from hypothesis import strategies as st

from foedus.core.errors import Invalid
from foedus.wallet.keys import Key, candidates, checked_address, personal_digest, recover

KEY = Key(bytes([1]) * 32)
ADDRESS = "0x1a642f0E3c3aF545E7AcBD38b07251B3990914F1"


def test_the_address_of_a_key_has_its_capitals():
    assert KEY.address == ADDRESS


@given(st.binary(max_size=100))
def test_a_signature_names_who_made_it(message):
    signature = KEY.sign_message(message)

    assert recover(personal_digest(message), signature) == ADDRESS
    assert ADDRESS in candidates(personal_digest(message), signature[:64])


def test_a_signature_over_something_else_names_somebody_else():
    assert recover(personal_digest(b"other"), KEY.sign_message(b"message")) != ADDRESS


@pytest.mark.parametrize("signature", [b"", bytes(65), bytes([255]) * 65, bytes(64), bytes([1]) * 64 + bytes([99])])
def test_what_is_no_signature_names_nobody(signature):
    assert recover(bytes(32), signature) is None
    assert candidates(bytes(32), signature) == frozenset()


@pytest.mark.parametrize("text", [ADDRESS, ADDRESS.lower(), "0x" + ADDRESS[2:].upper()])
def test_an_address_is_read_with_right_capitals_or_none(text):
    assert checked_address(text) == ADDRESS


@pytest.mark.parametrize(
    "text", [ADDRESS.replace("E3c3", "e3c3"), ADDRESS[:-1], ADDRESS[2:], ADDRESS + "0", "", None, 7]
)
def test_anything_else_is_no_address(text):
    with pytest.raises(Invalid, match="address"):
        checked_address(text)


@pytest.mark.parametrize("text", ["", "zz" * 32, "00" * 32, "ff" * 32, "01" * 31])
def test_what_is_no_private_key_is_refused(text):
    with pytest.raises(Invalid, match="private key"):
        Key.from_hex(text)


def test_a_key_does_not_show_its_secret():
    assert "01" not in repr(KEY)
