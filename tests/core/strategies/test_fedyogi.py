import numpy as np
import pytest
from tests.core.strategies.rounds import model, update

from foedus.core.errors import Invalid
from foedus.core.folding import Kind
from foedus.core.strategies.fedyogi import FedYogi


def test_two_steps_worked_by_hand():
    rule = FedYogi(lr=0.5, b1=0.5, b2=0.75, tau=0.5)
    state = rule.init(model((1.0,)))

    # d = 1;  m = 0.5;  v = 0.25 - 0.25*1*sign(0.25 - 1) = 0.5;  x = 1 + 0.25/(sqrt(0.5) + 0.5)
    state = rule.step(state, [update((2.0,))])
    first = 1 + 0.25 / (0.7071067811865476 + 0.5)
    assert (state.moments["m"]["w"].tolist(), state.moments["v"]["w"].tolist()) == ([0.5], [0.5])
    np.testing.assert_allclose(state.weights["w"], [first], rtol=1e-15)

    # d = -0.5;  m = 0.25 - 0.25 = 0;  v = 0.5 - 0.25*0.25*sign(0.5 - 0.25) = 0.4375;  x stays
    state = rule.step(state, [update((-0.5,), 1.0, "a", Kind.DELTA)])
    assert (state.moments["m"]["w"].tolist(), state.moments["v"]["w"].tolist()) == ([0.0], [0.4375])
    np.testing.assert_allclose(state.weights["w"], [first], rtol=1e-15)


@pytest.mark.parametrize("options", [{"lr": 0.0}, {"b1": 1.0}, {"b2": -0.1}, {"tau": 0.0}])
def test_options_out_of_range_are_refused(options):
    with pytest.raises(Invalid):
        FedYogi(**options)
