import numpy as np
import pytest
from tests.core.strategies.rounds import model, update

from foedus.core.errors import Invalid
from foedus.core.folding import Kind
from foedus.core.strategies.fedadagrad import FedAdagrad


def test_two_steps_worked_by_hand():
    rule = FedAdagrad(lr=0.5, tau=0.5)
    state = rule.init(model((1.0,)))

    # d = 2;  m = 2;  v = 0.25 + 4 = 4.25;  x = 1 + 0.5*2/(sqrt(4.25) + 0.5)
    state = rule.step(state, [update((3.0,))])
    first = 1 + 1 / (2.0615528128088303 + 0.5)
    assert (state.moments["m"]["w"].tolist(), state.moments["v"]["w"].tolist()) == ([2.0], [4.25])
    np.testing.assert_allclose(state.weights["w"], [first], rtol=1e-15)

    # d = -1;  m = -1 (b1 = 0 forgets);  v = 5.25;  x = first - 0.5/(sqrt(5.25) + 0.5)
    state = rule.step(state, [update((-1.0,), 1.0, "a", Kind.DELTA)])
    assert (state.moments["m"]["w"].tolist(), state.moments["v"]["w"].tolist()) == ([-1.0], [5.25])
    np.testing.assert_allclose(state.weights["w"], [first - 0.5 / (2.29128784747792 + 0.5)], rtol=1e-15)


@pytest.mark.parametrize("options", [{"lr": -1.0}, {"b1": 1.0}, {"tau": 0.0}])
def test_options_out_of_range_are_refused(options):
    with pytest.raises(Invalid):
        FedAdagrad(**options)
