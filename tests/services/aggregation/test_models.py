"""Federated models, as their developers make and change them."""

import pytest

from foedus.core.errors import Forbidden, NotFound, Unauthenticated
from foedus.records.accounts.models import Organisation
from foedus.records.aggregation.models import FederatedModel, ModelArtifact
from foedus.records.learning.models import Project
from foedus.records.shell.models import AuditEntry, Event
from foedus.services.aggregation import files, membership, models
from foedus.services.aggregation.access import ANYBODY, get_owned_model
from foedus.services.aggregation.errors import FieldInvalid
from foedus.services.aggregation.tree import latest_aggregate

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.mark.parametrize("initial", [[[0, 0], [1]], 5, {"w": [1]}, [[1, 2], [3, 4]]])
def test_an_initial_model_is_the_first_artifact(bench, initial):
    model = bench.model(initial)

    assert model.current_artifact.version == "1.0.0"
    assert bench.json_of(files.of_artifact(model.current_artifact)) == initial
    assert latest_aggregate(model) is None
    assert Project.objects.get().key == f"fma-{model.pk}"


@pytest.mark.parametrize("initial", [{"vocabulary": ["a"]}, "text", [], [[]], [1, [2, [3]]]])
def test_an_initial_model_without_numbers_is_an_artifact_all_the_same(bench, initial):
    model = bench.model(initial)

    assert bench.json_of(files.of_artifact(ModelArtifact.objects.get())) == initial
    bench.send(model, bench.join(model), [1.0])
    bench.work()
    assert latest_aggregate(model) is not None


@pytest.mark.parametrize(
    ("columns", "field"),
    [
        ({"aggregator": "os.system"}, "aggregator"),
        ({"requirement": "two_thirds"}, "requirement"),
        ({"requirement": "require_x_updates"}, "requirement_args"),
        ({"requirement": "require_x_updates", "requirement_args": 2}, "requirement_args"),
        ({"requirement": "require_x_updates", "requirement_args": ["2"]}, "requirement_args"),
        ({"requirement": "require_x_updates", "requirement_args": [2, 3]}, "requirement_args"),
        ({"requirement": "require_x_updates", "requirement_args": [True]}, "requirement_args"),
        ({"requirement_args": [1]}, "requirement_args"),
        ({"update_schema": {"type": "nope"}}, "update_schema"),
        ({"update_schema": "text"}, "update_schema"),
        ({"update_schema": {"$ref": "http://example.org/schema"}}, "update_schema"),
        ({"client_agg_results_schema": {"items": [{}]}}, "client_agg_results_schema"),
        ({"score_rule": {"publish": "often"}}, "score_rule"),
    ],
)
def test_what_cannot_work_is_refused_by_field(bench, columns, field):
    with pytest.raises(FieldInvalid) as caught:
        bench.model(**columns)

    assert caught.value.field == field
    assert not FederatedModel.objects.exists()
    assert not Project.objects.exists()


def test_only_staff_makes_models_in_anothers_name(bench):
    other = bench.user("other")

    with pytest.raises(FieldInvalid, match="Only staff"):
        bench.model(developer=other.user)

    assert bench.model(developer=other.user, by=bench.staff).developer == other.user


def test_models_belong_to_their_developer_and_to_staff(bench):
    model = bench.model()

    assert get_owned_model(bench.developer, model.pk) == get_owned_model(bench.staff, model.pk) == model
    with pytest.raises(NotFound):
        get_owned_model(bench.user("other"), model.pk)
    with pytest.raises(Forbidden):
        get_owned_model(bench.join(model), model.pk)
    with pytest.raises(Unauthenticated):
        get_owned_model(ANYBODY, model.pk)


def test_registering_again_gives_the_same_client(bench):
    model, other = bench.model(), bench.model()
    client = bench.join(model)

    assert bench.join(model, client) == bench.join(other, client) == client
    assert membership.clients_of(other) == [client.client]


def test_nobody_reads_a_clients_uuid_in_what_happened(bench):
    model = bench.model(initial=[0.0])
    client = bench.join(model)
    bench.send(model, client, ["text"])
    bench.send(model, client, [1.0])
    bench.work()
    bench.score(latest_aggregate(model), client, {"f1": 1})

    told = [str(event.data) for event in Event.objects.all()]
    kept = [entry.actor for entry in AuditEntry.objects.all()]

    assert str(client.client) not in " ".join(told + kept)


def test_a_closed_model_takes_known_clients_only(bench):
    model = bench.model()
    client = bench.join(model)
    FederatedModel.objects.update(open_registration=False)

    assert bench.join(model, client) == client
    with pytest.raises(Forbidden, match="takes no clients"):
        bench.join(model)


def test_a_change_of_the_requirement_holds_at_once(bench):
    model = bench.model(requirement="require_x_updates", requirement_args=[3])
    client = bench.join(model)
    bench.send(model, client, [1.0])
    bench.send(model, client, [3.0])

    bench.change(model, requirement_args=[2])
    bench.work()

    assert bench.json_of(files.of_aggregate(latest_aggregate(model))) == [2.0]


def test_deleting_a_model_deletes_its_files(bench, ports):
    model = bench.model([0.0])
    client = bench.join(model)
    bench.send(model, client, [1.0])
    bench.work()
    bench.send(model, client, ["text"])

    models.delete_model(ports, bench.developer, model.pk, now=bench.clock())
    bench.work()

    assert not list(ports.blobs.list())
    assert not FederatedModel.objects.exists()
    assert not Project.objects.exists()


def test_staff_of_an_organisation_looks_after_its_models_only(bench):
    ours, theirs = (Organisation.objects.create(name=name, created_at=bench.clock()) for name in ("ours", "theirs"))
    model = bench.model([0.0], by=bench.user("a", organisation=ours))
    staff, stranger = (bench.user(str(o), is_staff=True, organisation=o) for o in (ours, theirs))

    bench.change(model, by=staff, name="new")
    assert bench.upload(model, [1.0], by=staff).federated_model == model
    with pytest.raises(NotFound):
        bench.change(model, by=stranger, name="newer")
    with pytest.raises(Forbidden):
        bench.upload(model, [1.0], by=stranger)
    with pytest.raises(FieldInvalid, match="Only staff"):
        bench.model(by=stranger, developer=model.developer)
    assert bench.model(by=staff, developer=model.developer).developer == model.developer
