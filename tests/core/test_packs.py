import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.core.generated import bits, models

from foedus.core.arrays import Arrays
from foedus.core.codecs import safetensors
from foedus.core.errors import Invalid
from foedus.core.folding import Kind, Update, mean_weights, weighted_mean
from foedus.core.packs import is_gatherer, is_placed, memory_for, packs, reader


class Piecewise:
    """A source that only reads piece by piece."""

    def __init__(self, source):
        self.layout = source.layout
        self.block = source.block


def ways(arrays, folder):
    """The same tensors in memory, in a buffer and in a file, and a source that cannot gather."""
    path = folder / "model.safetensors"
    path.write_bytes(safetensors.encode(arrays))
    buffer = safetensors.open_source(path.read_bytes())
    return arrays, buffer, safetensors.open_source(path), Piecewise(buffer)


@given(models(), st.integers(1, 50))
def test_packs_hold_every_element_once_by_dtype(arrays, elements):
    found = list(packs(arrays.layout, elements))

    assert all(0 < pack.size <= elements for pack in found)
    assert all(piece.spec.dtype == pack.spec.dtype for pack in found for piece in pack.pieces)
    for spec in arrays.layout:
        pieces = [piece for pack in found for piece in pack.pieces if piece.spec is spec]
        assert [i for _, start, stop in pieces for i in range(start, stop)] == list(range(spec.size))


@given(models(), st.integers(1, 50))
def test_every_source_gives_the_same_values_of_a_pack(tmp_path_factory, arrays, elements):
    for source in ways(arrays, tmp_path_factory.mktemp("packs")):
        memory = memory_for(elements)
        for pack in packs(arrays.layout, elements):
            values = np.concatenate([np.array(part) for part in reader(source)(pack, memory)])
            for (spec, start, stop), place in pack.places():
                assert values[place].tobytes() == arrays[spec.name].reshape(-1)[start:stop].tobytes()


@given(models(["bool", "int16", "float16", "float32", "float64"], finite=True, min_size=1), st.integers(1, 50))
def test_a_fold_in_packs_is_to_the_bit_that_of_each_tensor_alone(tmp_path_factory, arrays, elements):
    folder = tmp_path_factory.mktemp("packs")
    other = Arrays({name: np.flip(tensor) for name, tensor in arrays.items()})
    alone = {}
    for name in arrays:
        pair = [Arrays({name: model[name]}) for model in (arrays, other)]
        alone[name] = weighted_mean([Update("a", 1.0, pair[0]), Update("b", 0.7, pair[1])])[name]

    for source in ways(arrays, folder):
        mean = weighted_mean([Update("a", 1.0, source), Update("b", 0.7, other)], block_elements=elements)
        assert bits(mean) == bits(alone)


def test_files_and_buffers_are_gathered_from_and_arrays_have_a_place(tmp_path):
    sources = ways(Arrays({"w": np.zeros(3)}), tmp_path)

    assert [is_gatherer(source) for source in sources] == [False, True, True, False]
    assert [is_placed(source) for source in sources] == [True, True, True, False]


def test_how_a_source_is_read_is_asked_in_a_few_calls(tmp_path):
    for source in ways(Arrays({"w": np.zeros(3)}), tmp_path):
        calls = []
        sys.setprofile(lambda frame, event, _, calls=calls: calls.append(frame) if event == "call" else None)
        try:
            reader(source)
            is_placed(source)
        finally:
            sys.setprofile(None)

        assert len(calls) == 3  # those two, and what the first asks


@pytest.mark.parametrize("way", range(4))
@pytest.mark.parametrize(("dtype", "spoilt"), [("float32", np.inf), ("int64", 2**60)])
def test_the_tensor_that_cannot_be_averaged_is_named_among_many(tmp_path, way, dtype, spoilt):
    tensors = {str(i): np.ones(5, dtype) for i in range(9)}
    tensors["6"] = np.array([1, spoilt, 1], dtype)
    first = Arrays(tensors)
    second = Arrays({name: -tensor for name, tensor in tensors.items()})

    with pytest.raises(Invalid, match="'6'"):
        weighted_mean([Update("a", 1.0, ways(first, tmp_path)[way]), Update("b", 1.0, second)])


def test_a_tensor_whose_sum_leaves_its_dtype_is_named_among_many():
    most = np.finfo(np.float32).max
    tensors = {str(i): np.full(4, most if i == 3 else 1, np.float32) for i in range(6)}
    model = Arrays(tensors)

    with pytest.raises(Invalid, match="'3'"):
        mean_weights(model, [Update("a", 1.0, model, Kind.DELTA)])


def test_a_bool_that_is_neither_is_named_among_many(tmp_path):
    body = bytearray(safetensors.encode(Arrays({str(i): np.ones(2, bool) for i in range(5)})))
    body[-3] = 7  # the second of tensor 3

    with pytest.raises(Invalid, match="'3'"):
        weighted_mean([Update("a", 1.0, safetensors.open_source(bytes(body)))])


def test_a_file_of_many_tensors_is_opened_once_a_pack(tmp_path):
    path = tmp_path / "model.safetensors"
    path.write_bytes(safetensors.encode(Arrays({str(i): np.full(3, i, np.float32) for i in range(100)})))
    source = safetensors.open_source(path)
    (pack,) = packs(source.layout, 1_000)
    memory = memory_for(1_000)

    (values,) = reader(source)(pack, memory)

    assert np.shares_memory(values, memory)
    assert values.tolist() == [i for i in range(100) for _ in range(3)]
