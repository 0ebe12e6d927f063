"""What holds for every registered strategy."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.core.generated import bits
from tests.core.strategies.rounds import mixed_models, model, rounds, update

from foedus.core import registry
from foedus.core.arrays import Arrays
from foedus.core.codecs import safetensors
from foedus.core.errors import Invalid, NoUpdates
from foedus.core.folding import Kind, Update
from foedus.core.strategies.strategy import State

GROUP = "foedus.strategies"
AVERAGES = {"fedavg", "mean"}  # strategies whose new model is a mean of the updates, and nothing else

every_strategy = pytest.mark.parametrize("name", registry.names(GROUP))


def stopped_and_resumed(state):
    return State.from_tensors(safetensors.decode(safetensors.encode(state.to_tensors())))


def test_the_built_in_strategies_are_registered():
    assert {"fedadam", "fedavg", "mean"} <= set(registry.names(GROUP))


@every_strategy
@settings(max_examples=25)
@given(start=mixed_models(), updates=rounds(), random=st.randoms())
def test_the_order_of_updates_changes_no_bit(name, start, updates, random):
    strategy = registry.build(GROUP, name, {})
    state = strategy.init(start)
    before = strategy.step(state, updates)
    random.shuffle(updates)

    after = strategy.step(state, iter(updates))

    assert bits(after.to_tensors()) == bits(before.to_tensors())


@every_strategy
@settings(max_examples=25)
@given(start=mixed_models(), updates=rounds())
def test_inputs_are_left_as_they_were(name, start, updates):
    strategy = registry.build(GROUP, name, {})
    state = strategy.init(start)
    inputs = [start, state.to_tensors(), *(u.source for u in updates)]
    before = [bits(arrays) for arrays in inputs]

    strategy.step(state, updates)

    assert [bits(arrays) for arrays in inputs] == before


@every_strategy
@settings(max_examples=25)
@given(start=mixed_models(), history=st.lists(rounds(), min_size=2, max_size=3))
def test_resumed_is_never_stopped(name, start, history):
    strategy = registry.build(GROUP, name, {})
    straight = stopped = strategy.init(start)

    for updates in history:
        straight = strategy.step(straight, updates)
        stopped = strategy.step(stopped_and_resumed(stopped), updates)

    assert bits(stopped.to_tensors()) == bits(straight.to_tensors())
    assert straight.steps == len(history)


@every_strategy
@settings(max_examples=25)
@given(start=mixed_models(), updates=rounds())
def test_the_model_keeps_its_layout(name, start, updates):
    strategy = registry.build(GROUP, name, {})

    state = strategy.step(strategy.init(start), updates)

    assert state.weights.layout == start.layout


@pytest.mark.parametrize("name", sorted(AVERAGES))
@settings(max_examples=25)
@given(start=mixed_models(), goal=mixed_models(), weights=st.lists(st.floats(0.1, 100), min_size=1, max_size=5))
def test_equal_updates_average_to_exactly_that_update(name, start, goal, weights):
    strategy = registry.build(GROUP, name, {})
    updates = [Update(str(i), weight, goal) for i, weight in enumerate(weights)]

    state = strategy.step(strategy.init(start), updates)

    assert bits(state.weights) == bits(goal)


@every_strategy
def test_updates_equal_to_the_model_leave_it_alone(name):
    strategy = registry.build(GROUP, name, {})
    start = model((0.1, -3.0), "float32")

    state = strategy.step(strategy.init(start), [Update("a", 2.0, start), Update("b", 1.0, start)])

    assert bits(state.weights) == bits(start)


@every_strategy
def test_no_updates_are_an_error(name):
    strategy = registry.build(GROUP, name, {})

    with pytest.raises(NoUpdates):
        strategy.step(strategy.init(model()), [])


@every_strategy
@pytest.mark.parametrize("kind", Kind)
def test_an_update_for_another_model_is_refused(name, kind):
    strategy = registry.build(GROUP, name, {})
    other = Update("a", 1.0, Arrays({"w": np.zeros(3)}), kind)

    with pytest.raises(Invalid, match="'w'"):
        strategy.step(strategy.init(model()), [update((1.0, 2.0), key="b", kind=kind), other])
