import pytest
from tests.core.strategies.rounds import model, updates

from foedus.core.errors import Invalid
from foedus.core.strategies.multikrum import MultiKrum

POINTS = [(0.0,), (1.0,), (3.0,), (5.0,), (100.0,)]  # scores by krum: 10, 5, 8, 20, far


@pytest.mark.parametrize(("keep", "expected"), [(1, 1.0), (2, 2.0), (None, 2.0)])
def test_the_mean_of_those_with_the_best_scores_becomes_the_model(keep, expected):
    rule = MultiKrum(byzantine=1, keep=keep)

    state = rule.step(rule.init(model((2.0,))), updates(*POINTS))

    assert state.weights["w"].tolist() == [expected]


def test_what_cannot_be_kept_with_a_proof_is_refused():
    rule = MultiKrum(byzantine=1, keep=3)

    with pytest.raises(Invalid, match="needs 6"):
        rule.step(rule.init(model((2.0,))), updates(*POINTS))


@pytest.mark.parametrize("options", [{"byzantine": -1}, {"keep": 0}])
def test_options_out_of_range_are_refused(options):
    with pytest.raises(Invalid):
        MultiKrum(**options)
