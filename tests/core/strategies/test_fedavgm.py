import pytest
from tests.core.strategies.rounds import model, update

from foedus.core.errors import Invalid
from foedus.core.folding import Kind
from foedus.core.strategies.fedavgm import FedAvgM


def test_two_steps_worked_by_hand():
    rule = FedAvgM(lr=0.5, momentum=0.25)
    state = rule.init(model((1.0,)))

    # d = (3*1 + 1*5)/4 - 1 = 1;  m = 0.25*0 + 1 = 1;  x = 1 + 0.5*1 = 1.5
    state = rule.step(state, [update((1.0,), 3.0), update((5.0,), 1.0, "b")])
    assert (state.moments["m"]["w"].tolist(), state.weights["w"].tolist()) == ([1.0], [1.5])

    # d = -2;  m = 0.25*1 - 2 = -1.75;  x = 1.5 - 0.875 = 0.625
    state = rule.step(state, [update((-2.0,), 1.0, "a", Kind.DELTA)])
    assert (state.moments["m"]["w"].tolist(), state.weights["w"].tolist()) == ([-1.75], [0.625])
    assert state.steps == 2


def test_without_momentum_it_is_the_mean():
    rule = FedAvgM(momentum=0.0)

    state = rule.step(rule.init(model((9.0, 9.0))), [update((1.0, 2.0)), update((3.0, 4.0), key="b")])

    assert state.weights["w"].tolist() == [2.0, 3.0]


@pytest.mark.parametrize("options", [{"lr": 0.0}, {"momentum": 1.0}, {"momentum": -0.1}, {"lr": float("inf")}])
def test_options_out_of_range_are_refused(options):
    with pytest.raises(Invalid):
        FedAvgM(**options)
