import pytest
from tests.core.strategies.rounds import model, update

from foedus.core.errors import Invalid
from foedus.core.strategies.fedprox import FedProx


def test_the_server_averages_by_weight():
    rule = FedProx(mu=0.5)

    state = rule.step(rule.init(model((9.0,))), [update((1.0,), weight=1.0), update((5.0,), weight=3.0, key="b")])

    assert state.weights["w"].tolist() == [4.0]


def test_participants_are_told_mu():
    assert FedProx(mu=0.5).needs.settings == {"mu": 0.5}


@pytest.mark.parametrize("mu", [-0.1, float("nan"), float("inf")])
def test_a_mu_that_is_no_distance_is_refused(mu):
    with pytest.raises(Invalid, match="mu"):
        FedProx(mu=mu)
