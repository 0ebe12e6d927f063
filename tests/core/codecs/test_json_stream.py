"""JSON that is read and written in pieces."""

import json
import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from foedus.core.arrays import Arrays
from foedus.core.codecs import json_stream
from foedus.core.codecs.json import Form
from foedus.core.codecs.json_text import Text
from foedus.core.errors import Invalid, TooLarge

numbers = st.floats(allow_nan=False, allow_infinity=False) | st.integers(-(2**53), 2**53)
tensors = arrays(np.float64, array_shapes(max_dims=4, max_side=4), elements=st.floats(-1e9, 1e9))
values = st.recursive(
    st.none() | st.booleans() | numbers | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=12,
)


def pieces_of(text, size):
    return [text[i : i + size] for i in range(0, len(text), size)]


def read(text, size=1 << 16):
    """What was parsed, and the numbers."""
    text = text if isinstance(text, bytes) else text.encode()
    source, blocks = Text(pieces_of(text, size)), []
    parsed = json_stream.read(source, blocks.append)
    source.end()
    return parsed, np.concatenate(blocks) if blocks else np.empty(0)


def named(parsed, flat):
    """The tensors that the numbers make."""
    found, start = {}, 0
    for spec in parsed.structure.layout:
        found[spec.name] = flat[start : start + spec.size].reshape(spec.shape)
        start += spec.size
    assert start == flat.size
    return found


@settings(deadline=None)  # pieces of one byte take their time
@given(tensors, st.integers(1, 9), st.sampled_from([None, 1]))
def test_a_rectangular_list_is_one_array_however_it_is_cut(array, size, indent):
    text = json.dumps(array.tolist(), indent=indent)

    parsed, flat = read(text, size)

    assert parsed.structure.form is Form.ARRAY
    np.testing.assert_array_equal(named(parsed, flat)["weights"], array)


@settings(deadline=None)  # pieces of one byte take their time
@given(st.lists(tensors | st.floats(-9, 9), min_size=1, max_size=5), st.integers(1, 9))
def test_lists_of_unlike_arrays_are_layers(layers, size):
    nested = [np.asarray(layer).tolist() for layer in layers]
    alike = len({np.shape(layer) for layer in layers}) == 1

    parsed, flat = read(json.dumps(nested), size)

    found = list(named(parsed, flat).values())
    assert parsed.structure.form is (Form.ARRAY if alike else Form.LAYERS)
    for layer, expected in zip(found[0] if alike else found, layers, strict=True):
        np.testing.assert_array_equal(layer, expected)


@settings(deadline=None)  # pieces of one byte take their time
@given(st.dictionaries(st.text(st.characters(categories=("L", "N")), min_size=1), tensors, min_size=1, max_size=3))
def test_an_object_of_arrays_is_a_mapping(layers):
    parsed, flat = read(json.dumps({name: array.tolist() for name, array in layers.items()}), 7)

    assert parsed.structure.form is Form.MAPPING
    for name, array in named(parsed, flat).items():
        np.testing.assert_array_equal(array, layers[name])


@settings(deadline=None)  # pieces of one byte take their time
@given(values, st.integers(1, 9))
def test_any_json_is_read_to_its_end(value, size):
    parsed, _ = read(json.dumps(value), size)

    assert (parsed.structure is None) == bool(parsed.obstacle)


@settings(deadline=None)  # pieces of one byte take their time
@given(st.text('[],-1.e 0"ab{}:', max_size=12), st.integers(1, 5))
def test_what_python_refuses_is_refused(text, size):
    try:
        json.loads(text)
    except ValueError:
        with pytest.raises(Invalid):
            read(text, size)
    else:
        try:
            read(text, size)
        except Invalid as exc:
            assert "twice" in exc.message  # noqa: PT017 - the one thing that Python lets pass


@pytest.mark.parametrize(
    "text",
    ["[1,]", "[,1]", "[1 2]", "[1][2]", "[[1],[2]", "[1]]", "1[,2]", "[1,2[,]3]", "[[1,2][3]]", "[01]", "[+1]", "[.5]",
     "[1.]", "[1e]", "[--1]", "[NaN]", "[Infinity]", "[-Infinity]", "[1_0]", "[0x1]", "", "[", '{"a":1,"a":2}', "[1}",
     "[x]", "[1x,2]", "[1,2}]", "[1/*2*/]", "[1\x0c]", "[1\0]", "[\ufeff1]", "[1,\xa02]", "[1'", "[1e1e1]", "[1;2]"],
)  # fmt: skip
@pytest.mark.parametrize("size", [1, 3, 100])
def test_broken_json_is_refused(text, size):
    with pytest.raises(Invalid):
        read(text, size)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("[1e999]", "larger than float64"),
        (f"[1{'0' * 400}]", "larger than float64"),
        ('["a"]', "other than numbers"),
        ("[true]", "other than numbers"),
        ("null", "other than numbers"),
        ("[]", "empty list"),
        ("[[1],[]]", "empty list"),
        ("[[1,[2]],[3]]", "side by side"),
        ("[[[1,2],[3]],[4]]", "layer 0 is not a rectangular"),
        ('{"a":[[1],[2,3]]}', "not rectangular"),
        ('{"a":{"b":1}}', "other than numbers"),
        ("{}", "no numbers"),
    ],
)
def test_what_cannot_be_averaged_says_why(text, reason):
    parsed, _ = read(text)

    assert parsed.structure is None
    assert reason in parsed.obstacle


def test_lists_nested_without_end_are_refused():
    with pytest.raises(Invalid, match="deep"):
        read("[" * 300_000)


def test_a_number_without_end_is_refused():
    with pytest.raises(Invalid):
        read("[" + "1" * 300_000 + "]")


@pytest.mark.parametrize("size", [1 << 12, 1 << 14, 1 << 18])
def test_much_space_between_numbers_is_no_error(size):
    parsed, flat = read("[" + " " * (2 * json_stream.MAX_TOKEN_BYTES) + "1,\n" + " " * 100_000 + "2]", size)

    assert parsed.structure.layout.tensors[0].shape == (2,)
    np.testing.assert_array_equal(flat, [1, 2])


def test_space_without_end_is_refused():
    with pytest.raises(Invalid, match="white space"):
        read("[1," + " " * 600_000 + "2]")


def test_large_values_with_more_than_numbers_are_refused():
    with pytest.raises(TooLarge):
        read('["' + "a" * (json_stream.MAX_MIXED_BYTES + 1) + '"]')


def test_fields_of_an_object_come_in_any_order():
    text = Text([b'{"a": 1, "data": [[1, 2], ', b'[3]], "z": {"s": "]}\\""}}'])
    seen, kept = {}, []

    for key in text.fields():
        if key == "data":
            text.peek()
            text.record(kept.append)
            seen[key] = json_stream.read(text, lambda block: None).structure.form
            text.record(None)
        else:
            seen[key] = json.loads(text.value(100))
    text.end()

    assert seen == {"a": 1, "data": Form.LAYERS, "z": {"s": ']}"'}}
    assert b"".join(kept) == b"[[1, 2], [3]]"


@settings(deadline=None)  # pieces of one byte take their time
@given(st.lists(tensors, min_size=1, max_size=3), st.sampled_from(list(Form)), st.sampled_from([1, 5, 1 << 14]))
def test_what_is_written_reads_the_same(layers, form, block):
    source = Arrays({str(i): array for i, array in enumerate(layers[:1] if form is Form.ARRAY else layers)})
    expected = [array.tolist() for array in source.values()]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(json_stream, "BLOCK_ELEMENTS", block)
        found = json.loads(b"".join(json_stream.write(source, form)))

    match form:
        case Form.ARRAY:
            assert found == expected[0]
        case Form.LAYERS:
            assert found == expected
        case Form.MAPPING:
            assert list(found.values()) == expected


def test_memory_does_not_grow_with_the_numbers():
    row = b"[" + b",".join(b"%d.123456789012345" % i for i in range(1000)) + b"],"
    total = 0

    def count(block):
        nonlocal total
        total += block.size

    tracemalloc.start()
    parsed = json_stream.read(Text([b"[", *(row for _ in range(500)), row[:-1], b"]"]), count)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert parsed.structure.layout.tensors[0].shape == (501, 1000)
    assert total == 501_000
    assert peak < 24 << 20  # 4 MB of them numbers; as Python objects alone they would take 16 MB
