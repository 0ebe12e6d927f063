import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.core.strategies.rounds import model, update

from foedus.core.errors import Invalid
from foedus.core.strategies.mean import Mean
from foedus.core.strategies.qfedavg import QFedAvg


def test_a_step_worked_by_hand():
    rule = QFedAvg(q=1.0, lr=0.5)
    well = update((2.0,), 50.0, "a", metrics={"loss": 1.0})
    badly = update((4.0,), 1.0, "b", metrics={"loss": 3.0})

    # L = 2, d = 1 and 3;  h = 1*4*1 + 2*1 = 6  and  1*4*9 + 2*3 = 42;  x = 1 + 2*(1*1 + 3*3)/48
    state = rule.step(rule.init(model((1.0,))), [well, badly])

    assert state.weights["w"].tolist() == pytest.approx([1 + 20 / 48], rel=1e-15)


def test_without_fairness_it_is_the_plain_mean():
    updates = [update((2.0,), 50.0, "a", metrics={"loss": 1.0}), update((4.0,), 1.0, "b", metrics={"loss": 9.0})]
    start = QFedAvg().init(model((1.0,)))

    assert QFedAvg(q=0.0).step(start, updates).weights["w"] == Mean().step(start, updates).weights["w"]


def test_the_more_fairness_the_more_the_worst_served_counts():
    updates = [update((-1.0,), 1.0, "a", metrics={"loss": 1.0}), update((1.0,), 1.0, "b", metrics={"loss": 2.0})]
    start = QFedAvg().init(model((0.0,)))

    shares = [QFedAvg(q=q, lr=100.0).step(start, updates).weights["w"][0] for q in (0.0, 1.0, 4.0)]

    assert shares == sorted(shares)
    assert shares[-1] > 0.5


@given(st.floats(0, 1e300), st.floats(0, 1e300), st.floats(0, 10))
def test_no_loss_however_large_breaks_the_round(one, other, q):
    updates = [update((2.0,), 1.0, "a", metrics={"loss": one}), update((4.0,), 1.0, "b", metrics={"loss": other})]

    state = QFedAvg(q=q).step(QFedAvg(q=q).init(model((1.0,))), updates)

    assert 1.0 <= state.weights["w"][0] <= 4.0


@pytest.mark.parametrize("metrics", [{}, {"accuracy": 1.0}, {"loss": -1.0}, {"loss": float("nan")}])
def test_an_update_without_a_loss_is_refused_by_name(metrics):
    with pytest.raises(Invalid, match="loss") as caught:
        QFedAvg().step(QFedAvg().init(model((1.0,))), [update((2.0,), key="who", metrics=metrics)])
    assert caught.value.context == {"update": "who"}


@pytest.mark.parametrize("options", [{"q": -0.1}, {"lr": 0.0}, {"q": float("inf")}])
def test_options_out_of_range_are_refused(options):
    with pytest.raises(Invalid):
        QFedAvg(**options)
