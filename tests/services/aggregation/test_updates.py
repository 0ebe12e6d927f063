"""From updates to aggregates."""

import numpy as np
import pytest

from foedus.core.arrays import Arrays
from foedus.core.codecs import safetensors
from foedus.core.errors import Conflict, Forbidden, Invalid, Unavailable
from foedus.records.aggregation.models import ModelAggregate, ModelUpdate
from foedus.records.learning.models import Project, Update
from foedus.services.aggregation import files, updates
from foedus.services.aggregation.errors import FieldInvalid
from foedus.services.aggregation.tree import latest_aggregate
from foedus.services.learning import combining

pytestmark = pytest.mark.django_db(transaction=True)

PENDING, COMPLETE, FAILED, INVALID = 0, 2, 3, 4
INITIAL = [[0.0, 0.0], [1.0]]


def states(model):
    return list(model.updates.order_by("pk").values_list("status", flat=True))


def result(bench, model):
    return bench.json_of(files.of_aggregate(latest_aggregate(model)))


@pytest.mark.parametrize(
    ("first", "second", "mean"),
    [
        ([[1, 2], [3]], [[3, 4], [4]], [[2.0, 3.0], [3.5]]),
        ([1, 2], [2, 3], [1.5, 2.5]),
        ([[1, 2], [3, 4]], [[3, 2], [3, 4]], [[2, 2], [3, 4]]),
        (3, 4, 3.5),
        ([[[1.5]], 2], [[[2.5]], 3], [[[2.0]], 2.5]),
        ({"w": [[1, 2]], "b": 1}, {"w": [[2, 4]], "b": 2}, {"w": [[1.5, 3]], "b": 1.5}),
    ],
)
@pytest.mark.parametrize("aggregator", ["average_layers", "avg_values_if_data", "fedavg"])
def test_the_aggregate_is_the_mean_nested_like_the_updates(bench, first, second, mean, aggregator):
    model = bench.model(requirement="all_clients", aggregator=aggregator)
    a, b = bench.join(model), bench.join(model)

    bench.send(model, a, first)
    assert bench.work() == 0
    bench.send(model, b, second)
    assert bench.work() == 1

    assert result(bench, model) == mean
    assert states(model) == [COMPLETE, COMPLETE]


def test_the_next_update_goes_into_the_next_aggregate(bench):
    model = bench.model(INITIAL)
    client = bench.join(model)
    bench.send(model, client, [[2, 2], [2]])
    bench.work()
    first = latest_aggregate(model)

    bench.send(model, client, [[4, 4], [4]], base=first)
    bench.work()

    second = latest_aggregate(model)
    assert (second.parent, second.level) == (first, 1)
    assert result(bench, model) == [[4.0, 4.0], [4.0]]
    assert model.updates.get(base_aggregate=first).applied_aggregate == second


def test_two_updates_of_one_client_count_twice(bench):
    model = bench.model(requirement="require_x_updates", requirement_args=[3])
    a, b = bench.join(model), bench.join(model)

    for client, value in ((a, [0.0]), (a, [0.0]), (b, [3.0])):
        bench.send(model, client, value)
    bench.work()

    assert result(bench, model) == [1.0]


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        ("[[1],[3,4]]", "tensor '0': expected float64[2], found float64[1]"),
        ("[1,2,3]", "expected a list of layers"),
        ('["a"]', "other than numbers"),
        ('{"a":1}', "expected a list of layers"),
        ("[[1e999,1],[3]]", "larger than float64"),
        ("[[1,[2]],[3]]", "side by side"),
    ],
)
def test_an_update_that_cannot_be_averaged_is_set_aside_and_blocks_nobody(bench, data, reason):
    model = bench.model(INITIAL, requirement="require_x_updates", requirement_args=[2])
    a, b = bench.join(model), bench.join(model)

    bad = bench.send(model, a, data.encode())
    bench.send(model, a, [[1, 1], [1]])
    bench.send(model, b, [[3, 3], [3]])
    bench.work()

    bad.refresh_from_db()
    assert (bad.status, bad.update) == (INVALID, None)
    assert reason in bad.reason
    assert result(bench, model) == [[2, 2], [2]]


def test_what_is_not_json_leaves_nothing_behind(bench, ports):
    model = bench.model(INITIAL)
    client = bench.join(model)
    before = {blob.key for blob in ports.blobs.list()}

    with pytest.raises(Invalid):
        bench.send(model, client, b"[[1, 2], [NaN]]")

    assert not ModelUpdate.objects.exists()
    assert {blob.key for blob in ports.blobs.list()} == before
    assert not list(ports.scratch.iterdir())


def test_the_document_is_kept_as_it_was_sent(bench):
    model = bench.model(INITIAL)

    row = bench.send(model, bench.join(model), b"[[1e0, 2],\n [3]]")

    with files.Pieces(bench.ports, files.of_update(row)) as pieces:
        assert b"".join(pieces) == b"[[1e0, 2],\n [3]]"


def test_tensors_are_taken_in_the_models_dtype(bench):
    model = bench.model(INITIAL)
    client = bench.join(model)
    body = safetensors.encode(Arrays({"1": np.array([3], np.float32), "0": np.array([1, 2], np.float32)}))

    row = bench.send(model, client, body)
    bench.work()

    assert result(bench, model) == [[1, 2], [3]]
    assert bench.json_of(files.of_update(row)) == [[1, 2], [3]]


def test_tensors_that_do_not_fit_are_refused(bench):
    model = bench.model(INITIAL)

    with pytest.raises(FieldInvalid, match="cannot be used"):
        bench.send(model, bench.join(model), safetensors.encode(Arrays({"x": np.zeros(2)})))


def test_a_paused_model_takes_updates_and_uses_them_once_it_goes_on(bench):
    model = bench.model(allow_aggregation=False)
    client = bench.join(model)
    bench.send(model, client, [1.0])
    bench.send(model, client, [3.0])
    assert bench.work() == 0
    assert states(model) == [PENDING, PENDING]

    bench.change(model, allow_aggregation=True)
    bench.work()

    assert result(bench, model) == [2.0]
    assert model.project.__class__.objects.get().state == Project.State.RUNNING


def test_an_update_that_comes_while_an_aggregate_is_made_goes_into_the_next(bench, monkeypatch):
    model = bench.model()
    client = bench.join(model)
    bench.send(model, client, [1.0])

    late = bench.send(model, client, [5.0])
    assert late.update is None
    bench.work()

    assert list(model.aggregates.order_by("pk").values_list("level", flat=True)) == [0, 1]
    assert result(bench, model) == [5.0]


def test_an_update_older_than_the_bound_is_set_aside(bench):
    model = bench.model([0.0], furthest_base_agg=1)
    client = bench.join(model)
    for value in (1.0, 2.0, 3.0):
        bench.send(model, client, [value], base=latest_aggregate(model))
        bench.work()
    first, second, third = model.aggregates.order_by("pk")

    stale = bench.send(model, client, [9.0], base=first)
    fresh = bench.send(model, client, [4.0], base=third)
    bench.work()
    older = bench.send(model, client, [5.0], base=third)
    bench.work()

    assert (stale.status, fresh.status) == (INVALID, PENDING)
    assert "at most 1 are allowed" in stale.reason
    assert states(model) == [COMPLETE, COMPLETE, COMPLETE, INVALID, COMPLETE, COMPLETE]
    assert older.base_aggregate != second


def test_clients_must_be_registered(bench):
    model, other = bench.model(), bench.model()
    stranger = bench.join(other)

    with pytest.raises(Forbidden):
        bench.send(model, stranger, [1.0])


def test_a_base_of_another_model_is_refused(bench):
    model, other = bench.model(), bench.model()
    client = bench.join(model)
    bench.join(other, client)
    bench.send(other, client, [1.0])
    bench.work()

    with pytest.raises(FieldInvalid, match="Invalid pk"):
        bench.send(model, client, [1.0], base=latest_aggregate(other))


def test_updates_of_a_client_that_left_wait_for_it(bench):
    model = bench.model(requirement="require_x_updates", requirement_args=[2])
    a, b = bench.join(model), bench.join(model)
    bench.send(model, a, [1.0])
    bench.change(model, clients=(b.client,))
    bench.send(model, b, [3.0])
    assert bench.work() == 0

    bench.change(model, clients=(a.client, b.client))
    bench.work()

    assert result(bench, model) == [2.0]


def test_the_last_client_missing_may_leave(bench):
    model = bench.model(requirement="all_clients")
    a, b = bench.join(model), bench.join(model)
    bench.send(model, a, [1.0])

    bench.change(model, clients=(a.client,))
    bench.work()

    assert result(bench, model) == [1.0]
    assert b.client.pk


def test_the_first_update_fixes_the_layout_and_deleting_it_frees_it(bench, ports):
    model = bench.model(allow_aggregation=False)
    client = bench.join(model)
    first = bench.send(model, client, [1.0, 2.0])
    assert bench.send(model, client, [1.0]).status == INVALID
    assert not ModelAggregate.objects.exists()

    updates.delete_update(ports, bench.developer, first.pk, now=bench.clock())
    again = bench.send(model, client, [1.0])

    assert again.status == PENDING
    assert not ports.blobs.list(first.document) or first.document not in {b.key for b in ports.blobs.list()}


def test_a_used_update_cannot_be_changed_but_deleted(bench, ports):
    model = bench.model([0.0])
    row = bench.send(model, bench.join(model), [1.0])
    bench.work()

    with pytest.raises(Conflict, match="part of aggregate"):
        updates.change_update(ports, bench.developer, row.pk, {"base_aggregate": None}, None, now=bench.clock())
    updates.delete_update(ports, bench.developer, row.pk, now=bench.clock())

    assert not Update.objects.exists()
    assert result(bench, model) == [1.0]


def test_an_update_is_left_alone_while_it_is_being_used(bench, ports):
    model = bench.model([0.0])
    row = bench.send(model, bench.join(model), [1.0])

    with pytest.raises(Unavailable):
        updates.delete_update(ports, bench.developer, row.pk, now=bench.clock())


def test_when_updates_cannot_be_combined_the_model_stops_and_says_so(bench, monkeypatch):
    model = bench.model([0.0])
    client = bench.join(model)
    bench.send(model, client, [1.0])
    waiting = bench.send(model, client, [2.0])

    def fails(*args):
        raise Invalid("two and two make five")

    with monkeypatch.context() as patch:
        patch.setattr(combining, "_step", fails)
        bench.work()

    model.refresh_from_db()
    assert states(model) == [FAILED, PENDING]
    assert not model.allow_aggregation
    assert "two and two" in model.updates.first().reason
    waiting.refresh_from_db()
    assert waiting.update is not None

    bench.change(model, allow_aggregation=True)
    bench.work()
    assert states(model) == [COMPLETE, COMPLETE]
    assert result(bench, model) == [1.5]


def test_many_updates_at_once_all_count(bench, ports, clock, in_threads):
    model = bench.model(requirement="require_x_updates", requirement_args=[6])
    clients = [bench.join(model) for _ in range(6)]

    outcomes = in_threads(*[lambda c=c, i=i: bench.send(model, c, [float(i)]) for i, c in enumerate(clients)])
    bench.work()

    assert [type(outcome) for outcome in outcomes] == [ModelUpdate] * 6
    assert result(bench, model) == [2.5]


def test_the_update_schema_is_kept(bench):
    schema = {"type": "array", "prefixItems": [{"minItems": 2, "maxItems": 2}, {"maxItems": 1}], "items": False}
    model = bench.model(INITIAL, update_schema=schema)
    client = bench.join(model)

    with pytest.raises(FieldInvalid, match=r"data did not match the required schema: .'type': 'array'"):
        bench.send(model, client, [[1], [3]])

    assert bench.send(model, client, [[1, 2], [3]]).status == PENDING
