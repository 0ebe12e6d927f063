"""What developers do with aggregates, and what scores do to them."""

import pytest

from foedus.core.errors import Conflict, Forbidden, NotFound
from foedus.records.aggregation.models import ModelAggregate, ModelArtifact, ModelUpdate
from foedus.records.learning.models import Checkpoint
from foedus.services.aggregation import aggregates, files
from foedus.services.aggregation.errors import FieldInvalid
from foedus.services.aggregation.tree import Place, latest_aggregate, places

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def model(bench):
    return bench.model([0.0])


@pytest.fixture
def client(bench, model):
    return bench.join(model)


def grow(bench, model, client, *values):
    """Aggregates, each below the one before."""
    for value in values:
        bench.send(model, client, [value])
        bench.work()
    return list(model.aggregates.order_by("pk"))


def test_aggregates_number_as_a_nested_set(bench, model, client):
    a, b = grow(bench, model, client, 1.0, 2.0)
    c = bench.upload(model, [7.0], parent=a.pk)
    d = bench.upload(model, [8.0])

    found = places([a, b, c, d])

    assert found[a.pk] == Place(1, 6, a.pk, 0)
    assert found[b.pk] == Place(2, 3, a.pk, 1)
    assert found[c.pk] == Place(4, 5, a.pk, 1)
    assert found[d.pk] == Place(1, 2, d.pk, 0)


def test_an_upload_is_the_newest_aggregate(bench, model, client):
    grow(bench, model, client, 1.0)

    made = bench.upload(model, [7.0], validation_score=0.5)
    bench.send(model, client, [9.0], base=made)
    bench.work()

    assert (made.validation_score, made.parent) == (0.5, None)
    assert latest_aggregate(model).parent == made


def test_an_upload_while_updates_are_combined_loses_none_of_them(bench, model, client):
    row = bench.send(model, client, [1.0])
    made = bench.upload(model, [7.0])

    bench.work()

    row.refresh_from_db()
    assert row.status == ModelUpdate.Status.COMPLETE
    assert latest_aggregate(model).pk != made.pk
    assert list(Checkpoint.objects.order_by("number").values_list("number", flat=True)) == [0, 1, 2]


@pytest.mark.parametrize("result", [[1.0, 2.0], "text", [[1.0]]])
def test_an_upload_must_fit_the_model(bench, model, result):
    with pytest.raises(FieldInvalid) as caught:
        bench.upload(model, result)

    assert caught.value.field == "result"


def test_others_upload_nothing(bench, model, client):
    with pytest.raises(Forbidden):
        bench.upload(model, [1.0], by=bench.user("other"))
    with pytest.raises(Forbidden):
        bench.upload(model, [1.0], by=client)


def test_an_upload_makes_pending_updates_too_old(bench, client, model):
    bench.change(model, requirement="require_x_updates", requirement_args=[2], furthest_base_agg=0)
    row = bench.send(model, client, [1.0])

    bench.upload(model, [5.0])

    row.refresh_from_db()
    assert row.status == ModelUpdate.Status.INVALID


def test_deleting_an_aggregate_takes_what_is_below_it_and_what_it_was_made_of(bench, ports, model, client):
    first, second, third = grow(bench, model, client, 1.0, 2.0, 3.0)
    bench.change(model, allow_aggregation=False)
    pending = bench.send(model, client, [9.0], base=third)
    blobs = list(Checkpoint.objects.filter(aggregate__in=[second, third]).values_list("blob", flat=True))

    aggregates.delete_aggregate(ports, bench.developer, second.pk, now=bench.clock())

    assert list(ModelAggregate.objects.all()) == [first]
    pending.refresh_from_db()
    assert pending.base_aggregate is None
    assert pending.update is not None
    assert set(ModelUpdate.objects.values_list("status", flat=True)) == {0, 2}
    assert not {blob.key for blob in ports.blobs.list()} & set(blobs)

    bench.change(model, allow_aggregation=True)
    bench.work()
    assert latest_aggregate(model).parent == first
    assert bench.json_of(files.of_aggregate(latest_aggregate(model))) == [9.0]


def test_what_is_published_is_not_deleted(bench, ports, model, client):
    (first,) = grow(bench, model, client, 1.0)
    aggregates.publish_aggregate(ports, bench.developer, first.pk, "2.0", now=bench.clock())

    with pytest.raises(Conflict, match=r"artifact '2\.0'"):
        aggregates.delete_aggregate(ports, bench.developer, first.pk, now=bench.clock())


def test_publishing_makes_the_current_artifact(bench, ports, model, client):
    (first,) = grow(bench, model, client, 4.0)

    artifact = aggregates.publish_aggregate(ports, bench.developer, first.pk, "2.0", now=bench.clock())

    model.refresh_from_db()
    assert model.current_artifact == artifact
    assert bench.json_of(files.of_artifact(artifact)) == [4.0]


@pytest.mark.parametrize("version", ["1.0.0", "", "x" * 256, "two\nlines"])
def test_a_version_must_be_new_and_short(bench, ports, model, client, version):
    (first,) = grow(bench, model, client, 4.0)

    with pytest.raises(FieldInvalid) as caught:
        aggregates.publish_aggregate(ports, bench.developer, first.pk, version, now=bench.clock())

    assert caught.value.field == "version"
    with pytest.raises(NotFound):
        aggregates.publish_aggregate(ports, bench.user("other"), first.pk, "2", now=bench.clock())


def test_an_aggregates_score_is_the_mean_of_the_clients(bench, model, client):
    (first,) = grow(bench, model, client, 4.0)
    other = bench.join(model)

    bench.score(first, client, {"f1": 0.5, "note": "x"})
    bench.score(first, other, {"f1": 1.0})

    first.refresh_from_db()
    assert first.validation_score == 0.75
    with pytest.raises(FieldInvalid, match="unique set"):
        bench.score(first, client, {"f1": 0.7})


def test_a_score_set_by_hand_stays(bench, model, client):
    (first,) = grow(bench, model, client, 4.0)
    aggregates.score_aggregate(bench.developer, first.pk, 0.1, now=bench.clock())

    bench.score(first, client, {"f1": 0.5})

    first.refresh_from_db()
    assert first.validation_score == 0.1


@pytest.mark.parametrize(("publish", "best"), [("max", 0), ("min", 1)])
def test_the_best_aggregate_is_published_where_the_model_asks_for_it(bench, model, client, publish, best):
    bench.change(model, score_rule={"metric": "loss", "publish": publish, "clients": 1})
    first, second = grow(bench, model, client, 1.0, 2.0)

    bench.score(first, client, {"loss": 0.5, "f1": 1})
    bench.score(second, client, {"loss": 0.2, "f1": 1})

    model.refresh_from_db()
    assert model.current_artifact.version == f"best-{(first, second)[best].pk}"
    assert ModelArtifact.objects.count() == 2 + best


def test_results_must_match_the_schema(bench, model, client):
    bench.change(model, client_agg_results_schema={"type": "object", "properties": {"f1": {"maximum": 1}}})
    (first,) = grow(bench, model, client, 1.0)

    with pytest.raises(FieldInvalid) as caught:
        bench.score(first, client, {"f1": 7})

    assert caught.value.field == "results"


def test_clients_score_aggregates_of_their_models_only(bench, model, client):
    (first,) = grow(bench, model, client, 1.0)
    stranger = bench.join(bench.model())

    with pytest.raises(Forbidden):
        bench.score(first, stranger, {"f1": 1})
