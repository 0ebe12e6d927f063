import pytest
from tests.markets import coordinator, ddo, raw

from foedus.core.errors import Invalid
from foedus.core.market.checksums import checksum, seed_did
from foedus.core.market.dids import Did
from foedus.core.market.documents import Document
from foedus.wallet.keys import Key
from foedus.wallet.proofs import DidRule, SignatureForm, creator_did, digest_of, prove, verify

KEY = Key(bytes([1]) * 32)
D0 = Did.parse("did:nv:162ce52ed2edd31c5c1017d10f054dd89fe97dc3f38cfabd3678b0075b835814")
SERVICE = coordinator()
TABLE = {"0": checksum(SERVICE["attributes"]["main"])}


def document(did, **proof):
    base = ddo(SERVICE, did=str(did))
    return Document.read(raw({**base, "proof": {**base["proof"], **proof}}))


def signed(did, form=SignatureForm.TEXT, key=KEY):
    return key.sign_digest(digest_of(did, form)).hex()


def test_the_published_did_of_a_creator_comes_out():
    assert creator_did(D0, KEY.address).hex == "ad60559c597c1aabac2218a9df884f10f35eea862b5689c2d52a7846a0eeb8e8"


@pytest.mark.parametrize(
    ("form", "digest"),
    [
        (SignatureForm.TEXT, "c07332495b26580eee29eb3667417d7464a67d4d63f833080f5200cb428ffb0e"),
        (SignatureForm.BYTES, "7017534b5d3cf7c09dd21277205fb9f5a908d0264665a739f535fafdbff39007"),
        (SignatureForm.PRINTED, "002edd1193bfba4b86ed530772e55d1a78e3831ae6fc664a9dd179bfddea10fd"),
    ],
)
def test_the_published_digests_come_out(form, digest):
    assert digest_of(D0, form).hex() == digest


def test_the_published_signature_comes_out():
    signature = signed(D0)

    assert signature.startswith("ab1a76b2")
    assert signature.endswith("d1881b")


@pytest.mark.parametrize(
    ("did", "rule"),
    [
        (seed_did(TABLE), DidRule.CHECKSUMS),
        (creator_did(seed_did(TABLE), KEY.address), DidRule.CREATOR),
        (Did(bytes(32)), DidRule.RANDOM),
    ],
)
def test_the_rule_that_made_a_did_is_named(did, rule):
    assert verify(document(did, checksum=TABLE)).rule is rule


@pytest.mark.parametrize("form", list(SignatureForm))
@pytest.mark.parametrize("prefix", ["", "0x"])
def test_every_form_of_signature_is_recognised(form, prefix):
    found = verify(document(D0, signatureValue=prefix + signed(D0, form)))

    assert (found.signature, found.signer, found.faults) == (form, KEY.address, ())


@pytest.mark.parametrize("value", ["", str(D0), "0x", "aa" * 64, "placeholder"])
def test_what_is_no_signature_leaves_a_document_unsigned(value):
    found = verify(document(D0, signatureValue=value))

    assert (found.signature, found.faults) == (None, ())


def test_somebody_elses_signature_is_a_fault():
    found = verify(document(D0, signatureValue=signed(D0, key=Key(bytes([2]) * 32))))

    assert found.faults == ("proof.signatureValue",)


def test_a_wrong_checksum_is_a_fault():
    assert verify(document(D0, checksum={"0": "0" * 64})).faults == ("proof.checksum[0]",)


def test_bytes_that_no_key_can_have_signed_are_refused():
    with pytest.raises(Invalid, match="signatureValue"):
        verify(document(D0, signatureValue="00" * 65))


def test_what_is_proved_here_is_verified_here():
    did, proof = prove({"0": SERVICE["attributes"]["main"]}, KEY, created="2026-01-02T03:04:05Z")

    found = verify(document(did, **proof))

    assert (found.rule, found.signature, found.faults) == (DidRule.CREATOR, SignatureForm.TEXT, ())
    assert not found.checksums.unchecked
