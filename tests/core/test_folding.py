import tracemalloc
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from tests.core.generated import bits, models

from foedus.core import folding
from foedus.core.arrays import DTYPES, Arrays, Layout, TensorSpec
from foedus.core.building import each, full_like
from foedus.core.codecs import safetensors
from foedus.core.errors import Invalid, NoUpdates
from foedus.core.folding import Kind, Update, mean_delta, mean_weights, plain_mean, weighted_mean

WEIGHTS = st.floats(1e-300, 1e300) | st.integers(1, 10**6).map(float)


def update(values, weight=1.0, key="a", dtype="float64", **more):
    return Update(key, weight, Arrays({"w": np.asarray(values, dtype)}), **more)


def mean_of(*updates, **more):
    return weighted_mean(updates, **more)["w"].tolist()


def rounds(dtype):
    """Some updates of one tensor, their values finite and their weights of any size."""
    elements = {"allow_nan": False, "allow_infinity": False} if dtype.startswith("float") else {}
    if dtype in ("int64", "uint64"):
        elements = {"min_value": 0 if dtype == "uint64" else -(2**53), "max_value": 2**53}
    values = hnp.arrays(dtype, 3, elements=elements)
    return st.lists(st.tuples(values, WEIGHTS), min_size=1, max_size=5).map(
        lambda parts: [update(v, w, key=str(i), dtype=dtype) for i, (v, w) in enumerate(parts)]
    )


def test_weights_decide_by_their_ratio():
    assert mean_of(update([0, 10], 1.0), update([4, 20], 3.0, "b")) == [3, 17.5]
    assert mean_of(update([0, 10], 1e300), update([4, 20], 3e300, "b")) == [3, 17.5]
    assert mean_of(update([0, 10], 1e-300), update([4, 20], 3e-300, "b")) == [3, 17.5]


def test_the_plain_mean_ignores_weights():
    assert plain_mean([update([1], 5.0), update([2], 0.0, "b")])["w"].tolist() == [1.5]


@given(st.sampled_from(DTYPES).flatmap(rounds), st.randoms())
def test_the_order_of_arrival_changes_no_bit(updates, random):
    before = bits(weighted_mean(updates))
    random.shuffle(updates)

    assert bits(weighted_mean(iter(updates))) == before


def test_sums_that_depend_on_their_order_do_not_show_it():
    rng = np.random.default_rng(2)
    updates = [update(rng.normal(size=1_000), rng.random(), str(i)) for i in range(20)]
    naive = [sum(u.weight * u.source["w"] for u in order) for order in (updates, updates[::-1])]
    assert (naive[0] != naive[1]).any()

    means = [weighted_mean(order) for order in (updates, updates[::-1])]

    assert bits(means[0]) == bits(means[1])


@given(models(finite=True), st.lists(WEIGHTS, min_size=1, max_size=9))
def test_equal_updates_average_to_exactly_that_update(arrays, weights):
    exact = Arrays(
        {n: np.clip(a, -(2.0**53), 2.0**53).astype(a.dtype) if a.dtype.kind in "iu" else a for n, a in arrays.items()}
    )

    mean = weighted_mean(Update(str(i), weight, exact) for i, weight in enumerate(weights))

    assert bits(mean) == bits(exact)


@given(st.sampled_from(["float16", "float32", "float64", "int16", "int64"]).flatmap(rounds))
def test_a_mean_is_close_to_that_of_exact_fractions(updates):
    total = sum(Fraction(u.weight) for u in updates)

    mean = weighted_mean(updates)["w"]

    for i in range(3):
        exact = sum(Fraction(u.weight) * Fraction(u.source["w"][i].item()) for u in updates) / total
        most = max(abs(Fraction(u.source["w"][i].item())) for u in updates)
        assert abs(Fraction(mean[i].item()) - exact) <= unit(mean[i]) / 2 + most * 16 / 2**53


def unit(value):
    """At most what lies between ``value`` and the next number of its dtype."""
    if value.dtype.kind != "f":
        return Fraction(1)
    info = np.finfo(value.dtype)
    return max(Fraction(float(info.eps)) * abs(Fraction(value.item())), Fraction(float(info.smallest_subnormal)))


@given(st.lists(hnp.arrays("float64", 3, elements=st.floats(-1e308, 1e308)), min_size=1, max_size=5))
def test_a_mean_lies_between_the_least_and_the_greatest(values):
    mean = weighted_mean(update(v, key=str(i)) for i, v in enumerate(values))["w"]

    assert (np.min(values, axis=0) <= mean).all()
    assert (mean <= np.max(values, axis=0)).all()


@given(
    st.sampled_from(["float16", "float32", "int16", "bool"]).flatmap(rounds),
    st.sampled_from([2.0**-1000, 0.5, 1.0, 512.0, 2.0**1000]),
)
def test_leaving_even_weights_out_changes_no_bit(updates, weight):
    shares, total = folding._shares([weight] * len(updates))
    terms = [share * u.source["w"].astype(np.float64) for share, u in zip(shares, updates, strict=True)]
    expected = np.empty(3, updates[0].source["w"].dtype)
    folding.finish(sum(terms[1:], start=terms[0]) / total, None, 1, out=expected)

    mean = weighted_mean(replace(u, weight=weight) for u in updates)["w"]

    assert mean.tobytes() == expected.tobytes()


def test_the_greatest_numbers_do_not_overflow():
    for dtype in ("float16", "float32", "float64"):
        most = np.finfo(dtype).max
        assert mean_of(*(update([most, -most], 0.1 + i, str(i), dtype) for i in range(7))) == [most, -most]


def test_a_negative_zero_stays_one():
    assert np.signbit(weighted_mean([update([-0.0]), update([-0.0], 2.0, "b")])["w"]).all()


def test_integers_are_rounded_half_to_even():
    assert mean_of(update([1, 2, -1, 7], dtype="int8"), update([2, 3, -2, 8], key="b", dtype="int8")) == [2, 2, -2, 8]


def test_a_bool_is_what_more_than_half_of_the_weight_says():
    yes, no = update([True], 1.0, "a", "bool"), update([False], 1.0, "b", "bool")

    assert mean_of(yes, no) == [False]
    assert mean_of(yes, no, update([True], 0.1, "c", "bool")) == [True]


def test_integers_that_float64_cannot_hold_are_refused():
    assert mean_of(update([2**53], dtype="int64"), update([2**53], key="b", dtype="int64")) == [2**53]
    for value, dtype in ((2**53 + 1, "int64"), (-(2**60), "int64"), (2**64 - 1, "uint64")):
        with pytest.raises(Invalid, match=r"'w'.*2\*\*53"):
            mean_of(update([value], dtype=dtype))


def test_nothing_to_combine_is_said():
    with pytest.raises(NoUpdates):
        mean_of()
    with pytest.raises(NoUpdates):
        mean_of(update([1], 0.0))


def test_what_weighs_nothing_does_not_count():
    assert mean_of(update([1.0]), update([np.nan], 0.0, "b")) == [1.0]


@pytest.mark.parametrize("weight", [-1.0, np.nan, np.inf, -np.inf])
def test_a_weight_is_finite_and_not_negative(weight):
    with pytest.raises(Invalid, match="weight"):
        update([1], weight)


def test_a_layout_that_differs_is_refused_naming_tensor_and_update():
    with pytest.raises(Invalid, match="'w'") as caught:
        mean_of(update([1, 2]), update([1], key="odd"))

    assert caught.value.context == {"tensor": "w", "update": "odd"}


def test_tensors_may_come_in_another_order():
    a = Update("a", 1.0, Arrays({"x": np.zeros(1), "y": np.ones(2)}))
    b = Update("b", 1.0, Arrays({"y": np.ones(2), "x": np.zeros(1)}))

    assert bits(weighted_mean([a, b])) == bits(a.source)


def test_wholes_and_deltas_do_not_mix():
    with pytest.raises(Invalid, match="all weights or all deltas"):
        mean_of(update([1]), update([1], key="b", kind=Kind.DELTA))


@pytest.mark.parametrize("spoilt", [np.inf, -np.inf])
def test_infinities_that_meet_are_refused(spoilt):
    with pytest.raises(Invalid, match=r"'w'.*not finite"):
        mean_of(update([spoilt]), update([-spoilt], key="b"))


def test_neither_blocks_nor_threads_change_a_bit(monkeypatch):
    monkeypatch.setattr(folding, "_WORTH_THREADS", 0)
    rng = np.random.default_rng(1)
    updates = [
        Update(str(i), rng.random(), Arrays({"w": rng.normal(size=(50, 30)), "b": rng.normal(size=7)}))
        for i in range(9)
    ]
    once = bits(weighted_mean(updates, threads=1))

    for threads, block_elements in ((1, 64), (2, 64), (3, 7), (2, 10_000)):
        assert bits(weighted_mean(updates, threads=threads, block_elements=block_elements)) == once


def test_a_thread_that_fails_fails_the_mean(monkeypatch):
    monkeypatch.setattr(folding, "_WORTH_THREADS", 0)

    with pytest.raises(Invalid, match=r"2\*\*53"):
        weighted_mean([update([2**60], dtype="int64")], threads=2)


def test_a_hundred_thousand_updates_stay_accurate():
    models = [Arrays({"w": np.array([0.1, 1e-8, 0.1 + x, x])}) for x in (1e6, -1e6)]

    mean = weighted_mean(Update(f"{i:06}", 1.0, models[i % 2]) for i in range(100_000))["w"]

    assert mean[:2].tolist() == [0.1, 1e-8]
    # Each of the additions may lose half a unit of a partial sum, which is never above 1e6 / 1e5.
    np.testing.assert_allclose(mean[2:], [0.1, 0.0], atol=1e-9)


def test_a_delta_is_taken_in_float64_before_it_is_rounded():
    weights = Arrays({"w": np.array([1000.0], np.float32)})
    a, b = np.float32(1000.0001), np.float32(1000)
    updates = [update([a], 1.0, "a", "float32"), update([b], 2.0, "b", "float32")]

    delta = mean_delta(weights, updates)["w"][0]

    assert delta == np.float32((float(a) - 1000) / 3)


@pytest.mark.parametrize("kind", Kind)
def test_weights_and_deltas_lead_to_the_same_place(kind):
    weights = Arrays({"f": np.array([1.0, 2.0]), "n": np.array([7], np.uint8), "on": np.array([True, False])})
    whole = Arrays({"f": np.array([3.0, 1.0]), "n": np.array([5], np.uint8), "on": np.array([True, True])})
    delta = Arrays({"f": np.array([2.0, -1.0]), "n": np.array([254], np.uint8), "on": np.array([False, True])})
    updates = [Update(key, 1.0, whole if kind is Kind.WEIGHTS else delta, kind) for key in "ab"]

    assert bits(mean_weights(weights, updates)) == bits(whole)
    assert bits(mean_delta(weights, updates)) == bits(delta)


def test_updates_must_fit_the_model_they_are_for():
    with pytest.raises(Invalid, match="'b' is missing"):
        mean_weights(Arrays({"w": np.zeros(1), "b": np.zeros(1)}), [update([1])])


def test_a_delta_that_leaves_the_range_of_the_model_is_refused():
    most = float(np.finfo(np.float32).max)

    with pytest.raises(Invalid, match="do not fit float32"):
        mean_weights(Arrays({"w": np.full(1, most, np.float32)}), [update([most], dtype="float32", kind=Kind.DELTA)])


def test_each_works_elementwise_in_float64_and_keeps_dtypes():
    a = Arrays({"x": np.arange(100_000, dtype=np.float32).reshape(1000, 100), "y": np.float16(3)})
    b = Arrays({"y": np.float16(0.5), "x": np.ones((1000, 100), np.float32), "more": np.zeros(1)})

    total = each(lambda x, y: x + y, a, b)

    assert total.layout == a.layout
    assert total["x"][999, 99] == 100_000
    assert total["y"] == 3.5
    with pytest.raises(Invalid, match=r"'y'.*float16"):
        each(lambda x: x * 1e6, a)


def test_full_like_keeps_shapes_and_widens_half_precision():
    filled = full_like(Arrays({"h": np.zeros((2, 1), np.float16), "d": np.zeros(1)}), 0.5)

    assert filled.layout == Layout((TensorSpec("h", (2, 1), "float32"), TensorSpec("d", (1,), "float64")))
    assert filled["h"].tolist() == [[0.5], [0.5]]


def test_peak_memory_does_not_grow_with_the_number_of_updates(tmp_path):
    path = tmp_path / "model.safetensors"
    model = Arrays({"w": np.ones(1_000_000, np.float32)})
    path.write_bytes(safetensors.encode(model))

    def peak(count):
        updates = [Update(str(i), 1.0, safetensors.open_source(path)) for i in range(count)]
        tracemalloc.start()
        weighted_mean(updates)
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return most

    few, many = peak(2), peak(64)

    assert many < few + 2 * 2**20  # a second thread with its scratch; sixty models would be 240 MB
    assert many < model.layout.nbytes + 4 * 2**20  # two threads of two rows of 512 KiB, and what is read
