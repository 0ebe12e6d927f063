import tracemalloc

import numpy as np
import pytest
from tests.core.strategies.rounds import GROUP, model, update, updates

from foedus.core import registry
from foedus.core.arrays import Arrays
from foedus.core.codecs import safetensors
from foedus.core.errors import Invalid, NoUpdates
from foedus.core.folding import Kind, Update
from foedus.core.strategies import votes as module
from foedus.core.strategies.votes import Votes, distances, middle

ROBUST = ("bulyan", "geometricmedian", "krum", "median", "multikrum", "trimmedmean")


def test_products_are_of_deltas_whatever_the_kind():
    weights = Votes.of(model((10.0, 0.0)), updates((11.0, 2.0), (13.0, 0.0)))
    deltas = Votes.of(model((10.0, 0.0)), updates((1.0, 2.0), (3.0, 0.0), kind=Kind.DELTA))

    assert weights.products().tolist() == deltas.products().tolist() == [[5.0, 3.0], [3.0, 9.0]]
    assert weights.squares().tolist() == [5.0, 9.0]


def test_distances_follow_from_products():
    points = np.random.default_rng(1).normal(size=(5, 7))

    found = distances(points @ points.T)

    np.testing.assert_allclose(found, ((points[:, None] - points) ** 2).sum(axis=2), atol=1e-12)


def test_a_distance_that_cannot_be_measured_is_infinite():
    products = np.array([[1.0, np.inf], [np.inf, np.inf]])

    assert distances(products).tolist() == [[0.0, np.inf], [np.inf, 0.0]]


def test_the_middle_is_never_outside():
    smallest, largest = np.array([[5e-324], [5e-324]]), np.array([[1.7e308], [1.7e308]])

    assert (middle(smallest), middle(largest)) == (5e-324, 1.7e308)


@pytest.mark.parametrize("block_values", [1, 1000, 1 << 20])
def test_the_size_of_blocks_changes_no_bit(block_values, monkeypatch):
    rng = np.random.default_rng(2)
    sent = updates(*rng.normal(size=(5, 1000)))
    rule = registry.build(GROUP, "median", {})
    whole = rule.step(rule.init(model(np.zeros(1000))), sent).weights["w"].tolist()
    monkeypatch.setattr(module, "BLOCK_VALUES", block_values)

    assert rule.step(rule.init(model(np.zeros(1000))), sent).weights["w"].tolist() == whole


def test_updates_that_weigh_nothing_have_no_vote():
    assert len(Votes.of(model((0.0,)), [update((1.0,), 0.0), update((2.0,), 1.0, "b")])) == 1
    with pytest.raises(NoUpdates):
        Votes.of(model((0.0,)), [update((1.0,), 0.0)])


def test_kinds_do_not_mix():
    with pytest.raises(Invalid, match="all deltas"):
        Votes.of(model((0.0,)), [update((1.0,)), update((1.0,), key="b", kind=Kind.DELTA)])


def test_integers_beyond_float64_are_refused():
    start = Arrays({"n": np.array([0])})
    with pytest.raises(Invalid, match=r"2\*\*53"):
        Votes.of(start, [Update("a", 1.0, Arrays({"n": np.array([2**60])}))]).elect(middle)


def test_small_tensors_are_counted_together_and_named_alone():
    rng = np.random.default_rng(4)
    start = Arrays({name: np.zeros(7, dtype) for name, dtype in zip("abcd", ["f4", "i8", "f4", "i8"], strict=True)})
    sent = [
        Update(key, 1.0, Arrays({t.name: rng.integers(-9, 9, t.shape).astype(t.dtype) for t in start.layout}))
        for key in "xyz"
    ]

    elected = Votes.of(start, sent).elect(middle)

    for name, tensor in elected.items():
        assert tensor.tolist() == np.median([u.source[name] for u in sent], axis=0).tolist()
    spoilt = Arrays({**sent[0].source, "d": np.full(7, 2**60)})
    with pytest.raises(Invalid, match="'d'"):
        Votes.of(start, [Update("s", 1.0, spoilt), *sent]).elect(middle)


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """Sixteen models of half a million numbers, most of them in one tensor."""
    folder = tmp_path_factory.mktemp("updates")
    rng = np.random.default_rng(3)
    shapes = {"big": (499_000,), **{f"small{i}": (10,) for i in range(100)}}
    for i in range(16):
        arrays = Arrays({name: rng.standard_normal(shape, dtype=np.float32) for name, shape in shapes.items()})
        (folder / f"{i}.safetensors").write_bytes(safetensors.encode(arrays))
    return sorted(folder.iterdir())


@pytest.mark.parametrize("name", ROBUST)
def test_memory_is_one_model_and_some_blocks_however_many_updates(name, files):
    sent = [Update(file.name, 1.0, safetensors.open_source(file)) for file in files]
    layout = sent[0].source.layout
    rule = registry.build(GROUP, name, {})
    state = rule.init(Arrays({t.name: np.zeros(t.shape, t.dtype) for t in layout}))
    tracemalloc.start()

    rule.step(state, sent)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    # Beside the new model of 2 MB, blocks of 4 MiB: no rule makes more than five of that size at a time.
    bound = layout.nbytes + 5.5 * 8 * module.BLOCK_VALUES
    assert peak < bound < len(files) * layout.nbytes
