import json

import pytest
from tests.markets import DID, coordinator, ddo, metadata, offer, raw

from foedus.core.errors import Invalid, TooLarge
from foedus.core.market.documents import MAX_BYTES, REQUIRED, Document, check_complete


def test_a_document_keeps_its_text_and_the_order_of_its_keys():
    text = json.dumps(ddo(coordinator()), indent=3).encode()

    document = Document.read(text)

    assert document.raw.encode() == text
    assert list(document.data) == list(json.loads(text))
    assert str(document.did) == DID


def test_unknown_keys_are_kept():
    document = Document.read(raw(ddo(coordinator(), _nvm={"userId": "u"}, userId="u")))

    assert document.data["_nvm"] == {"userId": "u"}


def test_an_address_says_did_for_the_documents_own():
    document = Document.read(raw(ddo(coordinator())))

    assert document.endpoint(document.metadata).endswith(DID)


def test_services_have_numbers_with_gaps_or_digits_in_texts():
    service = {**offer(), "index": "7"}

    document = Document.read(raw(ddo(metadata("compute"), service)))

    assert [s.index for s in document.services] == ["0", "7"]


@pytest.mark.parametrize("key", REQUIRED)
def test_the_first_missing_key_is_named(key):
    whole = ddo(coordinator())
    whole.pop(key)

    with pytest.raises(Invalid, match=key):
        check_complete(Document.read(raw(whole)))


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        (b"", "JSON"),
        (b"[]", "object"),
        (b'{"id": "did:nv:1", "id": "did:nv:2"}', "twice"),
        (b'{"id": NaN}', "NaN"),
        (b"[" * 100 + b"]" * 100, "deep"),
        (b'{"id": "\\ud800"}', "half a character"),
        (b'{"\\u0000": 1}', "number 0"),
        (raw(ddo({"type": 5})), r"service\[0\].type"),
        (raw(ddo({"type": "metadata", "index": True})), r"service\[0\].index"),
        (raw(ddo(coordinator(), coordinator())), "two services"),
        (raw(ddo({"type": "metadata", "attributes": []})), "attributes"),
        (raw({"id": DID, "service": {}}), "list of objects"),
    ],
)
def test_what_is_no_document_is_refused_with_its_place(text, complaint):
    with pytest.raises(Invalid, match=complaint):
        Document.read(text)


@pytest.mark.parametrize(("text", "is_kept"), [(r"\\u0000", True), (r"\\\u0000", False), (r"\\\\u0000", True)])
def test_letters_that_look_like_the_character_0_are_letters(text, is_kept):
    given = raw({"id": DID}).replace(b"}", b', "x": "' + text.encode() + b'"}')

    if is_kept:
        assert Document.read(given).data["x"].endswith("u0000")
    else:
        with pytest.raises(Invalid, match="number 0"):
            Document.read(given)


def test_a_document_has_a_largest_size():
    with pytest.raises(TooLarge):
        Document.read(b" " * (MAX_BYTES + 1))
