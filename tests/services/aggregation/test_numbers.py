"""The quick parser and writer of numbers say what the standard library says."""

import json
from decimal import Decimal, localcontext

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from foedus.core.codecs import json_stream
from foedus.core.codecs.json_text import Text
from foedus.core.errors import Invalid
from foedus.services.aggregation import numbers

finite = st.floats(allow_nan=False, allow_infinity=False)
decimals = st.from_regex(r"-?(0|[1-9][0-9]{0,24})(\.[0-9]{1,30})?([eE][+-]?[0-9]{1,3})?", fullmatch=True)


@given(st.lists(finite))
def test_what_is_written_reads_the_same_bit_for_bit(values):
    assert np.array(numbers.parse(numbers.dump(values)), np.float64).tobytes() == np.array(values, np.float64).tobytes()
    assert json.loads(numbers.dump(values)) == values


@given(st.lists(decimals))
def test_decimals_are_rounded_as_python_rounds_them(texts):
    document = f"[{','.join(texts)}]"

    assert list(map(float, numbers.parse(document.encode()))) == list(map(float, json.loads(document)))


@given(st.floats(1e-300, 1e300), st.booleans())
def test_decimals_between_two_floats_go_to_the_nearer_one(value, is_above):
    with localcontext(prec=1100):  # exact
        middle = (Decimal(value) + Decimal(float(np.nextafter(value, np.inf)))) / 2
        text = str(middle * (1 + Decimal("1e-60")) if is_above else middle)

    assert float(numbers.parse(f"[{text}]".encode())[0]) == float(text)


@pytest.mark.parametrize("bits", [0, 1, 2])
def test_every_kind_of_float_survives(bits):
    random = np.random.default_rng(bits).integers(0, 1 << 64, 20_000, np.uint64).view(np.float64)
    values = random[np.isfinite(random)]

    assert np.array_equal(np.array(numbers.parse(json.dumps(values.tolist()).encode())), values)


@pytest.mark.parametrize(
    "text",
    ["01", "+1", ".5", "1.", "1e", "--1", "NaN", "Infinity", "-Infinity", "1_0", "0x1", "1 2", "1,", "", "-", "1\x0c",
     "1\0", "\ufeff1", "\xa01", "1/**/"],
)  # fmt: skip
def test_what_json_does_not_have_is_refused(text):
    with pytest.raises(Invalid):
        json_stream.read(Text([f"[{text}]".encode() if text else b"[,]"]), lambda block: None, parse=numbers.parse)


@pytest.mark.parametrize("text", ["1e999", "-1e999", "1" + "0" * 400])
def test_what_float64_cannot_hold_is_said_to_be_too_large(text):
    parsed = json_stream.read(Text([f"[1,{text}]".encode()]), lambda block: None, parse=numbers.parse)

    assert "larger than float64" in parsed.obstacle
