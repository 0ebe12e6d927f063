import pytest
from tests.core.strategies.rounds import model, update

from foedus.core.errors import Invalid
from foedus.core.folding import Kind
from foedus.core.strategies.fedbuff import FedBuff


def test_stale_deltas_count_less_as_worked_by_hand():
    rule = FedBuff(lr=0.5, exponent=0.5)
    fresh = update((4.0,), 100.0, "a", Kind.DELTA)
    stale = update((-2.0,), 1.0, "b", Kind.DELTA, staleness=3)

    # s = 1 and (1 + 3)**-0.5 = 0.5;  x = 1 + 0.5/2 * (1*4 - 0.5*2) = 1.75, whatever the examples
    state = rule.step(rule.init(model((1.0,))), [fresh, stale])

    assert state.weights["w"].tolist() == [1.75]


def test_a_round_of_stale_updates_moves_the_model_less():
    rule = FedBuff(exponent=1.0)

    state = rule.step(rule.init(model((0.0,))), [update((3.0,), 1.0, "a", Kind.DELTA, staleness=2)])

    assert state.weights["w"].tolist() == [1.0]


def test_weights_from_an_older_model_are_refused():
    rule = FedBuff()

    with pytest.raises(Invalid, match="update_kind be delta"):
        rule.step(rule.init(model((0.0,))), [update((3.0,), staleness=1)])
    assert rule.needs.kind is Kind.DELTA


@pytest.mark.parametrize("options", [{"lr": 0.0}, {"exponent": -1.0}, {"exponent": float("nan")}])
def test_options_out_of_range_are_refused(options):
    with pytest.raises(Invalid):
        FedBuff(**options)
