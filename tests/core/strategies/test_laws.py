"""What holds for every registered strategy."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.core.generated import bits
from tests.core.strategies.rounds import GROUP, equipped, mixed_models, model, rounds, update

from foedus.core import registry
from foedus.core.arrays import Arrays
from foedus.core.building import full_like
from foedus.core.codecs import safetensors
from foedus.core.codecs.finite import LARGEST_STEP, Extremes, check_moderate
from foedus.core.errors import Invalid, NoUpdates
from foedus.core.folding import Kind, Update
from foedus.core.strategies.strategy import State, moment_layout, needs_of

# Strategies whose new model lies among the updates, so that equal updates leave no choice.
AVERAGES = (
    "bulyan", "fedavg", "fedbuff", "fedprox", "geometricmedian", "krum", "mean", "median", "multikrum", "scaffold",
    "trimmedmean",
)  # fmt: skip

every_strategy = pytest.mark.parametrize("name", registry.names(GROUP))


def as_delta(update, start):
    """The same update as what it adds to ``start``; of bools, which of them it flips."""
    return replace(
        update,
        kind=Kind.DELTA,
        source=Arrays(
            {t: np.logical_xor(a, start[t]) if a.dtype == bool else a - start[t] for t, a in update.source.items()}
        ),
    )


def stopped_and_resumed(state):
    return State.from_tensors(safetensors.decode(safetensors.encode(state.to_tensors())))


def test_the_built_in_strategies_are_registered():
    assert {"fedadam", *AVERAGES} <= set(registry.names(GROUP))


@every_strategy
@settings(max_examples=10)
@given(start=mixed_models(), data=st.data(), random=st.randoms())
def test_the_order_of_updates_changes_no_bit(name, start, data, random):
    updates = data.draw(rounds(name))
    strategy = registry.build(GROUP, name, {})
    state = strategy.init(start)
    before = strategy.step(state, updates)
    random.shuffle(updates)

    after = strategy.step(state, iter(updates))

    assert bits(after.to_tensors()) == bits(before.to_tensors())


@every_strategy
@settings(max_examples=10)
@given(start=mixed_models(), data=st.data())
def test_inputs_are_left_as_they_were(name, start, data):
    updates = data.draw(rounds(name))
    strategy = registry.build(GROUP, name, {})
    state = strategy.init(start)
    inputs = [start, state.to_tensors(), *(u.source for u in updates)]
    before = [bits(arrays) for arrays in inputs]

    strategy.step(state, updates)

    assert [bits(arrays) for arrays in inputs] == before


@every_strategy
@settings(max_examples=10)
@given(start=mixed_models(), data=st.data())
def test_resumed_is_never_stopped(name, start, data):
    history = data.draw(st.lists(rounds(name), min_size=2, max_size=3))
    strategy = registry.build(GROUP, name, {})
    straight = stopped = strategy.init(start)

    for updates in history:
        straight = strategy.step(straight, updates)
        stopped = strategy.step(stopped_and_resumed(stopped), updates)

    assert bits(stopped.to_tensors()) == bits(straight.to_tensors())
    assert straight.steps == len(history)


@every_strategy
@settings(max_examples=10)
@given(start=mixed_models(), data=st.data())
def test_the_model_keeps_its_layout(name, start, data):
    updates = data.draw(rounds(name))
    strategy = registry.build(GROUP, name, {})

    state = strategy.step(strategy.init(start), updates)

    assert state.weights.layout == start.layout


@every_strategy
@settings(max_examples=10)
@given(start=mixed_models(whole=True), data=st.data())
def test_weights_and_deltas_to_the_same_end_agree(name, start, data):
    updates = data.draw(rounds(name, kinds=[Kind.WEIGHTS], whole=True))
    strategy = registry.build(GROUP, name, {})
    state = strategy.init(start)

    by_weights = strategy.step(state, updates).weights
    by_deltas = strategy.step(state, [as_delta(u, start) for u in updates]).weights

    np.testing.assert_allclose(by_deltas["a"], by_weights["a"], rtol=1e-5, atol=1e-4)
    np.testing.assert_allclose(by_deltas["b"], by_weights["b"], rtol=1e-5, atol=1e-4)
    assert abs(by_deltas["n"] - by_weights["n"]).max() <= 1  # halves are rounded to even, which a difference moves


@pytest.mark.parametrize("name", AVERAGES)
@settings(max_examples=10)
@given(start=mixed_models(), goal=mixed_models(), weights=st.lists(st.floats(0.1, 100), min_size=7, max_size=9))
def test_equal_updates_average_to_exactly_that_update(name, start, goal, weights):
    strategy = registry.build(GROUP, name, {})
    updates = [equipped(name, Update(str(i), weight, goal)) for i, weight in enumerate(weights)]

    state = strategy.step(strategy.init(start), updates)

    assert bits(state.weights) == bits(goal)


@every_strategy
def test_updates_equal_to_the_model_leave_it_alone(name):
    strategy = registry.build(GROUP, name, {})
    start = model((0.1, -3.0), "float32")
    idle = [equipped(name, Update(str(i), 1.0 + i, start)) for i in range(7)]

    state = strategy.step(strategy.init(start), idle)

    assert bits(state.weights) == bits(start)


@every_strategy
def test_what_is_sent_along_is_kept_and_begins_at_zero(name):
    strategy = registry.build(GROUP, name, {})
    start = model((0.1, -3.0), "float16")

    moments = strategy.init(start).moments

    for sent in needs_of(strategy).sent:
        assert moments[sent].layout == moment_layout(start.layout)
        assert bits(moments[sent]) == bits(full_like(start, 0.0))


@every_strategy
def test_a_round_smaller_than_a_strategy_needs_is_refused_with_both_numbers(name):
    strategy = registry.build(GROUP, name, {})
    least = needs_of(strategy).updates
    few = [equipped(name, update((1.0, 2.0), key=str(i))) for i in range(least)]
    strategy.step(strategy.init(model()), few)
    if least > 1:
        with pytest.raises(Invalid, match=f"{name} needs {least} .* has {least - 1}"):
            strategy.step(strategy.init(model()), few[1:])


@every_strategy
def test_no_updates_are_an_error(name):
    strategy = registry.build(GROUP, name, {})

    with pytest.raises(NoUpdates):
        strategy.step(strategy.init(model()), [])


@every_strategy
@pytest.mark.parametrize("kind", Kind)
def test_an_update_for_another_model_is_refused(name, kind):
    strategy = registry.build(GROUP, name, {})
    other = equipped(name, Update("a", 1.0, Arrays({"w": np.zeros(3)}), kind))
    fitting = [equipped(name, update((1.0, 2.0), key=f"b{i}", kind=kind)) for i in range(6)]

    with pytest.raises(Invalid, match="'w'"):
        strategy.step(strategy.init(model()), [*fitting, other])


@every_strategy
@pytest.mark.parametrize("kind", Kind)
@pytest.mark.parametrize("dtype", sorted(LARGEST_STEP))
def test_no_accepted_update_keeps_a_round_from_being_combined(name, kind, dtype):
    """Whoever sends the largest steps that the door lets in, round after round, spoils nobody else's round."""
    strategy = registry.build(GROUP, name, {})
    needs = needs_of(strategy)
    most = LARGEST_STEP[dtype] if kind in needs.moderate else float(np.finfo(dtype).max)
    state = strategy.init(model((1.0, -1.0), dtype))
    for sign in (1, -1, 1):
        origin = state.weights["w"] if kind is Kind.WEIGHTS and kind in needs.moderate else np.zeros(2, dtype)
        lie = Arrays({"w": (origin + np.array((sign * most, -most))).astype(dtype)})
        sent = [equipped(name, Update("liar", 1e12, lie, kind))]
        sent += [equipped(name, Update(f"h{i}", 1.0, model((i / 10, 1.0), dtype), kind)) for i in range(7)]

        state = strategy.step(state, sent)

        assert np.isfinite(state.weights["w"]).all()


@every_strategy
@pytest.mark.parametrize("dtype", sorted(LARGEST_STEP))
def test_nothing_in_the_place_of_a_mask_is_refused_or_can_be_combined(name, dtype):
    """A mask is a constant as far from zero as its dtype goes; to send zeros for it is a step of that size."""
    strategy = registry.build(GROUP, name, {})
    start = model((np.finfo(dtype).min, 1.0), dtype)
    honest = [equipped(name, Update(f"h{i}", 1.0, start)) for i in range(7)]
    lie = equipped(name, Update("liar", 1.0, model((0.0, 1.0), dtype)))
    if Kind.WEIGHTS in needs_of(strategy).moderate:
        with pytest.raises(Invalid, match="'w'"):
            check_moderate(lie.source, Extremes.of(start))
        return

    state = strategy.step(strategy.init(start), [*honest, lie])

    assert np.isfinite(state.weights["w"]).all()
