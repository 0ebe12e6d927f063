import numpy as np
import pytest
from tests.core.strategies.rounds import model, update

from foedus.core.arrays import Arrays
from foedus.core.errors import Invalid
from foedus.core.folding import Update
from foedus.core.strategies.scaffold import Scaffold


def with_control(values, control, key="a"):
    return update(values, 1.0, key, extras={"control": model(control)})


def test_two_steps_worked_by_hand():
    rule = Scaffold(lr=0.5, participants=4)
    state = rule.init(model((1.0,)))
    assert state.moments["control"]["w"].tolist() == [0.0]

    # x = 1 + 0.5*((3 - 1) + (5 - 1))/2 = 2.5;  c = 0 + 1/4 * (2 + 6) = 2
    state = rule.step(state, [with_control((3.0,), (2.0,)), with_control((5.0,), (6.0,), "b")])
    assert (state.weights["w"].tolist(), state.moments["control"]["w"].tolist()) == ([2.5], [2.0])

    # x = 2.5 + 0.5*(0.5 - 2.5) = 1.5;  c = 2 - 1/4 * 4 = 1
    state = rule.step(state, [with_control((0.5,), (-4.0,))])
    assert (state.weights["w"].tolist(), state.moments["control"]["w"].tolist()) == ([1.5], [1.0])


def test_without_a_number_of_participants_all_have_taken_part():
    rule = Scaffold()

    state = rule.step(rule.init(model((0.0,))), [with_control((1.0,), (2.0,)), with_control((1.0,), (6.0,), "b")])

    assert state.moments["control"]["w"].tolist() == [4.0]


def test_counters_have_no_control_variate():
    start = Arrays({"n": np.array([0], np.int64), "w": np.zeros(1, np.float16)})
    seen = Arrays({"n": np.array([10], np.int64), "w": np.ones(1, np.float16)})

    state = Scaffold().step(
        Scaffold().init(start), [Update("a", 1.0, seen, extras={"control": Arrays({"w": np.ones(1, np.float32)})})]
    )

    assert state.weights["n"].tolist() == [10]
    assert list(state.moments["control"]) == ["w"]


def test_an_update_without_its_control_variate_is_refused():
    with pytest.raises(Invalid, match="control variate"):
        Scaffold().step(Scaffold().init(model()), [update((1.0, 2.0))])


def test_a_control_variate_of_another_model_is_refused():
    with pytest.raises(Invalid, match="'w'"):
        Scaffold().step(Scaffold().init(model()), [with_control((1.0, 2.0), (1.0, 2.0, 3.0))])


@pytest.mark.parametrize("options", [{"lr": 0.0}, {"participants": 0}])
def test_options_out_of_range_are_refused(options):
    with pytest.raises(Invalid):
        Scaffold(**options)
