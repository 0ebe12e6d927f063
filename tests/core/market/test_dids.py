import pytest
from hypothesis import given
from hypothesis import strategies as st

from foedus.core.errors import Invalid
from foedus.core.market.dids import Did


@given(st.binary(min_size=32, max_size=32))
def test_a_did_comes_back_from_its_text(value):
    assert Did.parse(str(Did(value))) == Did(value)


def test_the_older_method_names_the_same_thing():
    digits = "AB" * 32

    assert str(Did.parse(f"did:op:{digits}")) == f"did:nv:{digits.lower()}"


def test_fewer_digits_are_a_smaller_number():
    assert Did.parse("did:nv:12345").value == bytes(29) + bytes.fromhex("012345")


@pytest.mark.parametrize(
    "text", ["", "did:nv:", "did:nv:xyz", "did:eth:" + "0" * 64, "did:nv:" + "0" * 65, "did:nv:12\n", None, 7, ["did"]]
)
def test_anything_else_is_no_did(text):
    with pytest.raises(Invalid, match=r"^workflow must be a DID") as refused:
        Did.parse(text, "workflow")

    assert refused.value.context["field"] == "workflow"
