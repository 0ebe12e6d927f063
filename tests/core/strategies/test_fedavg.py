import numpy as np
from tests.core.strategies.rounds import model, update

from foedus.core.folding import Kind
from foedus.core.strategies.fedavg import FedAvg


def test_updates_count_by_their_weight():
    state = FedAvg().init(model((9.0, 9.0)))

    state = FedAvg().step(state, [update((1.0, 2.0), weight=1.0), update((5.0, 6.0), weight=3.0, key="b")])

    assert state.weights["w"].tolist() == [(1 + 15) / 4, (2 + 18) / 4]
    assert state.steps == 1


def test_deltas_are_added_to_the_model():
    state = FedAvg().init(model((10.0, 20.0)))

    state = FedAvg().step(state, [update((1.0, -2.0), 1.0, "a", Kind.DELTA), update((5.0, 6.0), 3.0, "b", Kind.DELTA)])

    assert state.weights["w"].tolist() == [14.0, 24.0]


def test_a_huge_model_before_costs_no_digits_of_the_mean():
    state = FedAvg().init(model((1e30, -1e30)))

    state = FedAvg().step(state, [update((0.1, 0.2)), update((0.1, 0.2), key="b")])

    np.testing.assert_array_equal(state.weights["w"], [0.1, 0.2])
