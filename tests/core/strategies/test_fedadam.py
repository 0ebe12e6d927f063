import numpy as np
import pytest
from tests.core.strategies.rounds import model, update

from foedus.core.arrays import Arrays
from foedus.core.errors import Invalid
from foedus.core.folding import Kind, Update
from foedus.core.strategies.fedadam import FedAdam

HALVES = FedAdam(lr=0.5, b1=0.5, b2=0.75, tau=0.5)


def test_two_steps_worked_by_hand():
    state = HALVES.init(model((1.0,)))
    assert (state.moments["m"]["w"].tolist(), state.moments["v"]["w"].tolist()) == ([0.0], [0.25])

    # d = (3*1 + 1*5)/4 - 1 = 1;  m = 0.5;  v = 0.75*0.25 + 0.25*1 = 0.4375;  x = 1 + 0.25/(sqrt(0.4375) + 0.5)
    state = HALVES.step(state, [update((1.0,), 3.0), update((5.0,), 1.0, "b")])
    first = 1 + 0.25 / (0.6614378277661477 + 0.5)
    assert state.moments["m"]["w"].tolist() == [0.5]
    assert state.moments["v"]["w"].tolist() == [0.4375]
    np.testing.assert_allclose(state.weights["w"], [first], rtol=1e-15)

    # d = -2;  m = 0.25 - 1 = -0.75;  v = 0.328125 + 1 = 1.328125;  x = first - 0.375/(sqrt(1.328125) + 0.5)
    state = HALVES.step(state, [update((-2.0,), 1.0, "a", Kind.DELTA)])
    assert state.moments["m"]["w"].tolist() == [-0.75]
    assert state.moments["v"]["w"].tolist() == [1.328125]
    np.testing.assert_allclose(state.weights["w"], [first - 0.375 / (1.1524430571616109 + 0.5)], rtol=1e-15)
    assert state.steps == 2


def test_counters_take_their_mean_and_have_no_moments():
    start = Arrays({"n": np.array([0], np.int64), "w": np.zeros(1, np.float16)})
    seen = Arrays({"n": np.array([10], np.int64), "w": np.ones(1, np.float16)})

    state = HALVES.step(HALVES.init(start), [Update("a", 1.0, seen)])

    assert state.weights["n"].tolist() == [10]
    assert list(state.weights) == ["n", "w"]
    assert list(state.moments["m"]) == ["w"]
    assert state.moments["v"]["w"].dtype == np.float32


@pytest.mark.parametrize("options", [{"lr": 0.0}, {"b1": 1.0}, {"b2": -0.1}, {"tau": 0.0}, {"lr": float("nan")}])
def test_options_out_of_range_are_refused(options):
    with pytest.raises(Invalid):
        FedAdam(**options)
