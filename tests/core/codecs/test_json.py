import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.core.generated import bits, models

from foedus.core.arrays import Arrays, Layout, TensorSpec
from foedus.core.codecs import json as codec
from foedus.core.codecs.json import Form
from foedus.core.codecs.limits import Limits
from foedus.core.errors import Invalid, TooLarge

SMALL = Arrays({"w": np.arange(6, dtype=np.float32).reshape(2, 3), "b": np.array([0.5], np.float32)})
ANY_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(width=32) | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
)


def one(dtype="float32", shape=(2,)):
    return Layout((TensorSpec("a", shape, dtype),))


@given(models(finite=True), st.sampled_from([Form.MAPPING, Form.LAYERS]))
def test_what_is_encoded_comes_back_bit_for_bit(arrays, form):
    assert bits(codec.decode(codec.encode(arrays, form), layout=arrays.layout)) == bits(arrays)


@given(models(finite=True, min_size=1, max_size=1))
def test_one_array_alone_comes_back_bit_for_bit(arrays):
    assert bits(codec.decode(codec.encode(arrays, Form.ARRAY), layout=arrays.layout)) == bits(arrays)


def test_without_a_layout_shapes_tell_what_is_meant():
    array, layers, named = b"[[1,2],[3,4]]", b"[[[1,2],[3,4]],[5,6]]", b'{"k":[1,2],"b":3}'

    assert {name: a.tolist() for name, a in codec.decode(array).items()} == {"weights": [[1, 2], [3, 4]]}
    assert {name: a.tolist() for name, a in codec.decode(layers).items()} == {"0": [[1, 2], [3, 4]], "1": [5, 6]}
    assert {name: a.tolist() for name, a in codec.decode(named).items()} == {"k": [1, 2], "b": 3}
    assert {a.dtype.name for a in codec.decode(named).values()} == {"float64"}


def test_a_layout_tells_layers_of_one_shape_from_an_array():
    layout = Layout((TensorSpec("a", (2,)), TensorSpec("b", (2,))))

    arrays = codec.decode(b"[[1,2],[3,4]]", layout=layout)

    assert {name: a.tolist() for name, a in arrays.items()} == {"a": [1, 2], "b": [3, 4]}


def test_a_document_cut_anywhere_is_refused():
    data = codec.encode(SMALL)

    for length in range(len(data)):
        with pytest.raises(Invalid):
            codec.decode(data[:length])


@given(st.binary(max_size=50))
def test_garbage_is_read_or_refused_and_never_crashes(garbage):
    try:
        codec.decode(garbage)
    except Invalid:
        return


@given(ANY_JSON, st.sampled_from([None, SMALL.layout, one(), one("int8"), one("bool", ()), one("uint64", (0, 3))]))
def test_any_json_is_read_or_refused_and_never_crashes(value, layout):
    import json

    try:
        codec.decode(json.dumps(value).encode(), layout=layout)
    except Invalid:
        return


@pytest.mark.parametrize(
    ("data", "layout", "text"),
    [
        (b"[1,NaN]", None, "NaN"),
        (b"[1,-Infinity]", None, "-Infinity"),
        (b"[1,1e999]", None, "cannot hold"),
        (b"[1,1e39]", one(), "cannot hold"),
        (b"[1,1e5]", one("float16"), "cannot hold"),
        (b"[1," + b"9" * 400 + b"]", one("float64"), "cannot hold"),
        (b"[1," + b"9" * 5000 + b"]", one("float64"), "not valid JSON"),
        (b"[1,300]", one("int8"), "cannot hold"),
        (b"[1,1.5]", one("int32"), "int32"),
        (b"[1,2.0]", one("int32"), "int32"),
        (b"[1,true]", one("int32"), "int32"),
        (b"[0,1]", one("bool"), "bool"),
        (b"[true,false]", one("float32"), "float32"),
        (b"[1.5,true]", one("float32"), "float32, not 'True'"),
        (b'["1","2"]', one(), "rectangular list of numbers"),
        (b"[1,null]", one(), "not 'None'"),
        (b"[1,{}]", one(), "holds float32"),
        (b"[1,[2]]", one(), "rectangular list of numbers"),
        (b"[1,2,3]", one(), "expected shape"),
        (b'{"a":[1,2],"a":[1,2]}', one(), "twice"),
        (b'{"a":[1,2],"b":[1]}', one(), "'b' is not part"),
        (b"{}", one(), "'a' is missing"),
        (b"[[1,2]]", SMALL.layout, "2 layers"),
        (b"7", SMALL.layout, "2 layers"),
        (b"[" * 100_000, None, "nested"),
        (b'{"\\"[":' * 50 + b"1" + b"}" * 50, None, "nested"),
        (b'{"":[1]}', None, "name"),
        (b"\xef\xbb\xbf[1]", None, "not valid JSON"),
        (b"[\xff]", None, "not valid JSON"),
        (b"", None, "not valid JSON"),
    ],
)
def test_a_hostile_document_is_refused_by_name(data, layout, text):
    with pytest.raises(Invalid, match=text):
        codec.decode(data, layout=layout)


def test_brackets_in_names_are_no_nesting():
    assert list(codec.decode(b'{"[[[[[[\\"[[[[[[[[":1}', limits=Limits(max_json_depth=2))) == ['[[[[[["[[[[[[[[']


def test_integers_keep_all_their_digits():
    numbers = Arrays({"n": np.array([2**64 - 1, 0, 2**53 + 1], np.uint64)})

    assert bits(codec.decode(codec.encode(numbers), layout=numbers.layout)) == bits(numbers)


def test_a_float_may_be_written_as_a_long_integer():
    assert codec.decode(b"[100000000000000000000,1.5]", layout=one())["a"].tolist() == [float(np.float32(1e20)), 1.5]


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_what_json_cannot_say_is_not_written(value):
    with pytest.raises(Invalid, match="'a' is not finite at element 1"):
        codec.encode(Arrays({"a": np.array([1, value])}))


def test_limits_hold():
    for limits in (Limits(max_bytes=10), Limits(max_tensors=1)):
        with pytest.raises(TooLarge):
            codec.decode(codec.encode(SMALL), limits=limits)
