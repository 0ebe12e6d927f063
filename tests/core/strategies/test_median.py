import numpy as np
from tests.core.strategies.rounds import model, update, updates

from foedus.core.arrays import Arrays
from foedus.core.folding import Kind, Update
from foedus.core.strategies.median import Median


def test_of_an_odd_number_it_is_the_one_in_the_middle():
    state = Median().step(Median().init(model((0.0, 0.0))), updates((1.0, 9.0), (2.0, 8.0), (300.0, -7.0)))

    assert state.weights["w"].tolist() == [2.0, 8.0]


def test_of_an_even_number_it_is_between_the_two_in_the_middle():
    state = Median().step(Median().init(model((0.0,))), updates((1.0,), (2.0,), (4.0,), (100.0,)))

    assert state.weights["w"].tolist() == [3.0]


def test_deltas_are_added_to_the_model():
    deltas = updates((1.0,), (2.0,), (90.0,), kind=Kind.DELTA)

    assert Median().step(Median().init(model((10.0,))), deltas).weights["w"].tolist() == [12.0]


def test_the_weight_an_update_claims_counts_for_nothing():
    liar = update((1000.0,), 1e12, "z")

    assert Median().step(Median().init(model((0.0,))), [*updates((1.0,), (2.0,)), liar]).weights["w"].tolist() == [2.0]


def test_masks_go_by_majority_and_counters_by_their_median():
    def of(n, on, key):
        return Update(key, 1.0, Arrays({"n": np.array([n]), "on": np.array(on)}))

    state = Median().step(
        Median().init(Arrays({"n": np.array([0]), "on": np.array([False, False])})),
        [of(4, [True, False], "a"), of(7, [True, False], "b"), of(10**9, [False, True], "c")],
    )

    assert (state.weights["n"].tolist(), state.weights["on"].tolist()) == ([7], [True, False])
