"""JSON from strangers: depth is told before anything is parsed."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from foedus.core.codecs import strict_json
from foedus.core.errors import Invalid

VALUES = st.recursive(
    st.one_of(st.text('[]{}"\\ab,:'), st.integers()), lambda inner: st.lists(inner, max_size=3), max_leaves=12
)


def depth_of(value):
    return 1 + max(map(depth_of, value), default=0) if isinstance(value, list) else 0


@given(VALUES)
def test_brackets_within_text_are_no_depth(value):
    text, depth = json.dumps(value).encode(), depth_of(value)

    assert strict_json.parse(text, max_depth=depth) == value
    if depth:
        with pytest.raises(Invalid, match=f"nested {depth} deep"):
            strict_json.parse(text, max_depth=depth - 1)


def test_depth_is_told_across_the_pieces_that_are_looked_at():
    text = b'["' + b"[" * ((1 << 20) - 3) + b'",[[[]]]]'

    with pytest.raises(Invalid, match="nested 4 deep"):
        strict_json.parse(text, max_depth=3)
    assert strict_json.parse(text, max_depth=4)[1] == [[[]]]
