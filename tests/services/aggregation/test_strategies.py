"""Every strategy of the engine by its name, or a reason at the model's creation."""

import numpy as np
import pytest
from tests.services.aggregation.test_updates import result

from foedus.core import registry
from foedus.core.arrays import Arrays
from foedus.core.codecs import safetensors
from foedus.core.strategies.strategy import needs_of
from foedus.records.aggregation.models import ModelUpdate
from foedus.services.aggregation.errors import FieldInvalid
from foedus.services.aggregation.rules import aggregators

pytestmark = pytest.mark.django_db(transaction=True)

REFUSED = {"fedbuff": "changes of weights", "scaffold": "more tensors"}
STRATEGIES = registry.names("foedus.strategies")
MANY = 9  # enough for those that expect liars


@pytest.mark.parametrize("name", STRATEGIES)
def test_every_strategy_makes_aggregates_or_is_refused_with_the_reason(bench, name):
    columns = {"aggregator": name, "requirement": "require_x_updates", "requirement_args": [MANY]}
    if name in REFUSED:
        with pytest.raises(FieldInvalid, match=REFUSED[name]):
            bench.model([0.0, 0.0], **columns)
        return
    needed = needs_of(registry.build("foedus.strategies", name, {})).metrics
    metrics = {name: least + 1.0 for name, least in needed.items()}

    model = bench.model([0.0, 0.0], **columns)
    client = bench.join(model)
    for value in range(MANY):
        bench.send(model, client, [1.0 + value / 10, 2.0], metrics=metrics)
    bench.work()

    assert set(model.updates.values_list("status", flat=True)) == {ModelUpdate.Status.COMPLETE}
    assert all(number > 0 for number in result(bench, model))


def test_all_that_are_registered_may_be_named():
    assert set(aggregators()) == {"average_layers", "avg_values_if_data", *STRATEGIES}


def test_options_go_to_the_strategy(bench):
    columns = {"requirement": "require_x_updates", "requirement_args": [5], "aggregator": "trimmedmean"}
    model = bench.model([0.0], aggregator_options={"byzantine": 1}, **columns)
    client = bench.join(model)
    for value in (1.0, 2.0, 3.0, 4.0, 1e6):
        bench.send(model, client, [value])
    bench.work()

    assert result(bench, model) == [3.0]


@pytest.mark.parametrize(
    ("initial", "aggregator", "lie"),
    [
        ([1.0], "fedadam", [1e300]),
        (None, "fedyogi", [-1e300]),  # the first update of all says what the model looks like
        (safetensors.encode(Arrays({"weights": np.zeros(1, np.float32)})), "fedavgm", [3e38]),
    ],
)
def test_a_step_that_the_aggregator_cannot_calculate_with_is_set_aside(bench, initial, aggregator, lie):
    model = bench.model(initial, aggregator=aggregator, requirement="require_x_updates", requirement_args=[2])
    client = bench.join(model)
    bad = bench.send(model, client, lie)
    for value in (1.0, 2.0):
        bench.send(model, client, [value])
    bench.work()

    bad.refresh_from_db()
    assert bad.status == ModelUpdate.Status.INVALID
    assert "too large to be combined" in bad.reason
    assert np.isfinite(result(bench, model)).all()


def test_constants_of_the_initial_model_may_be_as_large_as_they_are(bench):
    model = bench.model([1e300, 0.0], aggregator="fedadam")

    assert bench.send(model, bench.join(model), [1e300, 1.0]).reason == ""


def test_tensors_of_counters_without_a_mean_are_refused(bench):
    model = bench.model(safetensors.encode(Arrays({"0": np.zeros(1, np.int64)})))

    with pytest.raises(FieldInvalid, match="cannot be used"):
        bench.send(model, bench.join(model), safetensors.encode(Arrays({"0": np.array([2**60])})))


def test_updates_weigh_as_many_examples_as_they_say_where_the_aggregator_weighs(bench):
    for aggregator, expected in (("fedavg", [3.0]), ("average_layers", [2.0])):
        model = bench.model([0.0], aggregator=aggregator, requirement="require_x_updates", requirement_args=[2])
        client = bench.join(model)
        bench.send(model, client, [0.0], examples=1.0)
        bench.send(model, client, [4.0], examples=3.0)
        bench.work()
        assert result(bench, model) == expected


def test_what_an_update_says_of_itself_is_still_known_when_it_had_to_wait(bench):
    model = bench.model([0.0], aggregator="fedavg", requirement="require_x_updates", requirement_args=[2])
    client = bench.join(model)
    for value in (0.0, 0.0, 4.0, 8.0):  # the last two come while the first two wait to be averaged
        bench.send(model, client, [value], examples=1.0 + value)
    bench.work()

    assert result(bench, model) == [(4.0 * 5 + 8.0 * 9) / 14]


@pytest.mark.parametrize(
    ("columns", "field"),
    [
        ({"aggregator": "krum"}, "requirement"),
        ({"aggregator": "krum", "requirement": "require_x_updates", "requirement_args": [4]}, "requirement"),
        ({"aggregator": "krum", "aggregator_options": {"byzantine": "x"}}, "aggregator_options"),
        ({"aggregator": "krum", "aggregator_options": {"no": 1}}, "aggregator_options"),
        ({"aggregator": "fedadam", "aggregator_options": [1]}, "aggregator_options"),
        ({"aggregator": "average_layers", "aggregator_options": {"lr": 1}}, "aggregator_options"),
    ],
)
def test_what_cannot_go_together_is_said_at_creation(bench, columns, field):
    with pytest.raises(FieldInvalid) as caught:
        bench.model([0.0], **columns)

    assert caught.value.field == field


@pytest.mark.parametrize("metrics", [{}, {"loss": -1.0}, {"loss": float("nan")}, {"loss": True}, {"loss": "1"}, [1]])
def test_an_update_without_the_number_that_the_aggregator_needs_is_refused(bench, metrics):
    model = bench.model([0.0], aggregator="qfedavg")
    client = bench.join(model)

    with pytest.raises(FieldInvalid) as caught:
        bench.send(model, client, [1.0], metrics=metrics)

    assert caught.value.field == "metrics"
