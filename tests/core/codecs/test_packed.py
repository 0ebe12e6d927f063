import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from tests.core.generated import bits, models

from foedus.core.arrays import Arrays, Layout
from foedus.core.codecs import forms, safetensors
from foedus.core.codecs.finite import Extremes
from foedus.core.codecs.packed import METADATA, Wanted, open_update
from foedus.core.codecs.packing import TopK, packed, sparsified
from foedus.core.errors import Invalid
from foedus.core.folding import Kind, Update, weighted_mean

W = Arrays({"w": np.linspace(-3, 3, 200, dtype=np.float32).reshape(4, 50), "n": np.array([7], np.int64)})
DELTAS = Wanted(W.layout, Kind.DELTA)


def opened(parts, wanted=DELTAS, metadata=METADATA):
    update = open_update(safetensors.encode(Arrays(parts), metadata), wanted)
    update.check_values(lambda: Extremes.of(W))
    return update


def read(source):
    return Arrays({t.name: source.block(t.name, 0, t.size).reshape(t.shape) for t in source.layout})


def sparse(indices, values, dtype=np.uint32):
    return {
        "plain/n": W["n"],
        "indices/w": np.array(indices, dtype),
        "values/w": np.array(values, np.float32),
    }


@settings(max_examples=40)
@given(models(finite=True))
def test_plain_parts_come_back_bit_for_bit(arrays):
    data = safetensors.encode(packed(arrays, "plain", {}), METADATA)

    assert bits(read(open_update(data, Wanted(arrays.layout)).source)) == bits(arrays)


@settings(max_examples=40)
@given(
    hnp.arrays("float32", (3, 40), elements=st.floats(-1000, 1000, width=32)),
    st.sampled_from([("float16", 1e-3, 1e-7), ("bfloat16", 2**-8, 1e-38)]),
)
def test_half_precision_loses_what_it_says(array, form):
    encoding, relative, absolute = form
    arrays = Arrays({"w": array})

    found = read(opened(packed(arrays, encoding, {}), Wanted(arrays.layout)).source)["w"]

    np.testing.assert_allclose(found, array, rtol=relative, atol=absolute)


@settings(max_examples=40)
@given(hnp.arrays("float64", (3, 40), elements=st.floats(-1e9, 1e9)))
def test_int8_is_off_by_half_a_step_of_its_row_at_most(array):
    arrays = Arrays({"w": array})

    found = read(opened(packed(arrays, "int8", {}), Wanted(arrays.layout)).source)["w"]

    steps = np.abs(array).max(axis=1, keepdims=True) / 127
    assert (np.abs(found - array) <= 0.5000001 * steps + 1e-300).all()


@settings(max_examples=40)
@given(
    hnp.arrays("float32", (3, 40), elements=st.floats(-1000, 1000, width=32)),
    st.floats(0.01, 1.0),
    st.sampled_from([1, 7, 64, 1 << 15]),
)
def test_what_is_sent_and_what_is_left_out_add_up(array, fraction, chunk):
    arrays = Arrays({"w": array})

    parts, rest = sparsified(arrays, TopK(fraction), {})
    source = opened(parts, Wanted(arrays.layout, Kind.DELTA)).source
    blocks = [source.block("w", at, at + chunk) for at in range(0, array.size, chunk)]

    found = np.concatenate(blocks).reshape(array.shape)
    np.testing.assert_array_equal(found + rest["w"], array)
    assert not (found * rest["w"]).any()


def test_the_largest_changes_are_sent_first():
    array = np.arange(100, dtype=np.float32) * (-1) ** np.arange(100)

    parts, _ = sparsified(Arrays({"w": array}), TopK(0.03), {})

    assert parts["indices/w"].tolist() == [97, 98, 99]
    assert parts["values/w"].tolist() == [-97.0, 98.0, -99.0]


def test_blocks_across_chunks_of_indices_find_their_values(monkeypatch):
    monkeypatch.setattr(forms, "CHUNK_ELEMENTS", 16)
    source = opened(sparse([0, 15, 16, 17, 100, 199], [1, 2, 3, 4, 5, 6])).source

    assert source.block("w", 0, 16).tolist() == [1] + [0] * 14 + [2]
    assert source.block("w", 15, 18).tolist() == [2, 3, 4]
    assert source.block("w", 16, 18).tolist() == [3, 4]
    assert source.block("w", 18, 100).tolist() == [0] * 82
    assert source.block("w", 190, 10**9).tolist() == [0] * 9 + [6]
    assert source.block("w", 5, 5).tolist() == []


def test_an_update_of_nothing_is_all_zero():
    assert not read(opened(sparse([], [])).source)["w"].any()


def test_encodings_of_one_round_mix():
    as_int8 = opened(packed(W, "int8", {})).source
    as_half = opened(packed(W, "float16", {})).source

    mean = weighted_mean([Update("a", 1.0, as_int8, Kind.DELTA), Update("b", 1.0, as_half, Kind.DELTA)])

    np.testing.assert_allclose(mean["w"], W["w"], atol=3 / 127)
    assert mean["n"].tolist() == [7]


def test_extras_come_beside_the_model():
    control = Arrays({"w": np.ones((4, 50), np.float32)})
    wanted = Wanted(W.layout, Kind.DELTA, {"control": control.layout})

    update = opened(packed(W, "int8", {"control": control}), wanted)

    assert bits(read(update.extras["control"])) == bits(control)


def test_a_plain_file_is_an_update_too():
    assert bits(read(opened(W, metadata={}).source)) == bits(W)


def test_what_saves_nothing_is_larger_than_allowed():
    n = 100_000
    layout = Layout.of({"w": np.zeros(n, np.float32)})
    everything = sparsified(Arrays({"w": np.ones(n, np.float32)}), TopK(1.0), {})[0]

    assert len(safetensors.encode(everything, METADATA)) > Wanted(layout, Kind.DELTA).size_bytes
    for encoding in ("plain", "float16", "bfloat16", "int8"):
        parts = packed(Arrays({"w": np.ones(n, np.float32)}), encoding, {})
        assert len(safetensors.encode(parts, METADATA)) <= Wanted(layout).size_bytes


N = {"plain/n": W["n"]}
INT8 = {**N, "int8/w": np.ones((4, 50), np.int8)}


@pytest.mark.parametrize(
    ("parts", "said"),
    [
        (sparse([1, 1], [1, 1]), "ascend"),
        (sparse([2, 1], [1, 1]), "ascend"),
        (sparse([200], [1]), "outside"),
        (sparse([-1], [1], np.int64), "outside"),
        (sparse([2**63], [1], np.uint64), "outside"),
        (sparse([1, 2], [1]), "as many indices"),
        (sparse([[1]], [[1]]), "as many indices"),
        (sparse([1.0], [1], np.float32), "as many indices"),
        (sparse([1], [np.nan]), "not finite at element 1"),
        ({**sparse([1], [1]), "values/w": np.ones(1)}, "cannot stand for"),
        ({**INT8, "scale/w": np.float32(np.nan)}, "scale"),
        ({**INT8, "scale/w": np.float32(np.inf)}, "scale"),
        ({**INT8, "scale/w": np.float32(-1)}, "scale"),
        ({**INT8, "scale/w": np.float32(3.4e38), "int8/w": np.full((4, 50), 100, np.int8)}, "not finite"),
        ({**INT8, "scale/w": np.ones(3, np.float32)}, "scale has shape"),
        ({**INT8, "scale/w": np.ones((4, 50), np.float32)}, "scale has shape"),
        ({**INT8, "scale/w": np.int8(1)}, "scales of"),
        ({**INT8, "scale/w": np.float32(1), "int8/w": np.ones((4, 51), np.int8)}, "shape"),
        ({**INT8, "scale/w": np.float32(1), "int8/w": np.ones((4, 50), np.uint8)}, "int8"),
        (INT8, "no form"),
        ({**N, "scale/w": np.float32(1)}, "no form"),
        ({**N, "plain/w": W["w"], "bf16/w": np.zeros((4, 50), np.uint16)}, "no form"),
        ({**N, "plain/w": np.float64(W["w"])}, "cannot stand for"),
        ({**N, "plain/w": np.int8(W["w"])}, "cannot stand for"),
        ({"plain/n": np.int32([7]), "plain/w": W["w"]}, "cannot stand for"),
        ({**N, "bf16/w": np.zeros((4, 50), np.int16)}, "U16"),
        ({**N, "bf16/w": np.full((4, 50), 0x7F80, np.uint16)}, "not finite"),
        ({"bf16/n": np.zeros(1, np.uint16), "plain/w": W["w"]}, "travels plain only"),
        (N, "'w' is missing"),
        ({**N, "plain/w": W["w"], "plain/x": W["w"]}, "'x' is not part"),
        ({**N, "plain/w": W["w"], "w": W["w"]}, "no known form"),
        ({**N, "plain/w": W["w"], "extras/control": W["w"]}, "no known form"),
        ({**N, "plain/w": W["w"], "extras/control/w": W["w"]}, "does not ask"),
    ],
)
def test_what_is_not_consistent_is_refused(parts, said):
    with pytest.raises(Invalid, match=said):
        opened(parts)


def test_sparse_weights_are_refused():
    with pytest.raises(Invalid, match="only deltas"):
        opened(sparse([1], [1]), Wanted(W.layout))


@pytest.mark.parametrize("metadata", [{}, METADATA])
def test_an_update_that_says_it_is_of_the_other_kind_is_refused(metadata):
    parts = packed(W, "plain", {}) if metadata else W

    with pytest.raises(Invalid, match="says that it is 'weights', and this project wants 'delta'"):
        opened(parts, metadata={**metadata, "foedus.kind": "weights"})
    opened(parts, metadata={**metadata, "foedus.kind": "delta"})


def test_another_version_is_refused():
    with pytest.raises(Invalid, match="version"):
        opened({}, metadata={"foedus.update": "2"})


@pytest.mark.parametrize("extras", [{}, {"w": np.ones(3, np.float32)}, {"w": np.float16(1), "x": np.float16(1)}])
def test_extras_that_are_missing_or_of_another_shape_are_refused(extras):
    wanted = Wanted(W.layout, Kind.DELTA, {"control": Layout.of({"w": np.zeros((4, 50), np.float32)})})
    sent = {"control": Arrays(extras)} if extras else {}

    with pytest.raises(Invalid):
        opened(packed(W, "plain", sent), wanted)
    with pytest.raises(Invalid, match="needs control"):
        opened(W, wanted, {})


@pytest.mark.parametrize(("encoding", "value"), [("float16", 1e5), ("bfloat16", 3.4e38)])
def test_values_too_large_for_an_encoding_are_refused_before_they_are_sent(encoding, value):
    with pytest.raises(Invalid, match="too large"):
        packed(Arrays({"w": np.full(100, value, np.float32)}), encoding, {})


def test_an_encoding_that_does_not_exist_is_refused():
    with pytest.raises(Invalid, match="zip"):
        packed(W, "zip", {})
    with pytest.raises(Invalid, match="fraction"):
        TopK(0.0)


def test_tensors_without_values_have_no_trouble():
    arrays = Arrays({"none": np.zeros((0, 3), np.float32), "one": np.float32(2)})
    for encoding in ("plain", "float16", "bfloat16", "int8"):
        source = opened(packed(arrays, encoding, {}), Wanted(arrays.layout)).source
        assert bits(read(source)) == bits(arrays)
