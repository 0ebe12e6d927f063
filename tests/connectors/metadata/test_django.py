import json
from datetime import timedelta
from itertools import count
from uuid import UUID

import pytest
from django.db import connections
from tests.contracts.metadata import MetadataContract

from foedus.connectors.metadata.contract import LEASE, NOW
from foedus.connectors.metadata.django import DjangoMetadata
from foedus.core.errors import Invalid
from foedus.ports.metadata import ClaimLost, NotClaimable
from foedus.records.accounts.models import User
from foedus.records.aggregation.models import FederatedModel, ModelAggregate, ModelUpdate
from foedus.server.work import HANDLERS
from foedus.services.aggregation import access, incoming, membership, models, updates
from foedus.services.shell import jobs

pytestmark = pytest.mark.django_db

WEIGHTS = [[1.0, 2.0], [3.0]]


class FromAThread:
    """Closes the connections of the calling thread after each call, as whoever starts threads has to."""

    def __init__(self, metadata):
        self._metadata = metadata

    def claim(self, *args, **kwargs):
        try:
            return self._metadata.claim(*args, **kwargs)
        finally:
            connections.close_all()


class DjangoWorld:
    def __init__(self, ports):
        self.ports = ports
        self.metadata = DjangoMetadata.from_settings({}, ports)
        self._staff = access.Caller(user=User.objects.create(username="admin", is_staff=True))
        self._results = count(1)
        self._now = NOW - timedelta(hours=1)

    def opened(self):
        return FromAThread(DjangoMetadata.from_settings({}, self.ports))

    def model(self, **fields):
        renamed = {"arguments": "requirement_args", "furthest_base": "furthest_base_agg"}
        columns = {"name": "demo", "allow_aggregation": True}
        columns |= {renamed.get(name, name): value for name, value in fields.items()}
        if "requirement_args" in columns:
            columns["requirement_args"] = list(columns["requirement_args"])
        wanted = models.Wanted(columns=columns, developer=self._staff.user)
        return models.create_model(self.ports, self._staff, wanted, None, now=self._now).pk

    def client(self, model):
        return str(membership.register_client(self.ports, model, None, now=self._now).pk)

    def leave(self, model, client):
        stay = tuple(c for c in membership.clients_of(FederatedModel.objects.get(pk=model)) if str(c.pk) != client)
        wanted = models.Wanted(columns={}, clients=stay)
        models.change_model(self.ports, self._staff, model, wanted, now=self._now)

    def update(self, model, client, *, base=None):
        self._now += timedelta(seconds=1)
        command = updates.SubmitUpdate(federated_model=model, base_aggregate=base, client=UUID(client))
        with self.weights(WEIGHTS) as found:
            return updates.submit_update(self.ports, self._staff, command, found, now=self._now).pk

    def weights(self, value):
        return incoming.json_bytes_in(self.ports, iter([json.dumps(value).encode()]))

    def data(self, update):
        return ModelUpdate.objects.get(pk=update).document

    def result(self, model):
        number = next(self._results)
        key = f"results/{number}"
        self.ports.blobs.put(key, json.dumps([[number, 2.0], [3.0]]).encode())
        return key

    def reason(self, update):
        return ModelUpdate.objects.get(pk=update).reason

    def work(self, now):
        """What the service's own workers do."""
        while (job := jobs.claim(now)) is not None:
            HANDLERS[job.kind](self.ports, job, now=now)


@pytest.fixture
def world(ports):
    return DjangoWorld(ports)


@pytest.fixture
def metadata(world):
    return world.metadata


@pytest.fixture
def model(world):
    return world.model(aggregator="average_layers", requirement="require_x_updates", arguments=(3,))


@pytest.fixture
def sent(world, model):
    return [world.update(model, world.client(model)) for _ in range(2)]


class TestDjangoMetadata(MetadataContract):
    @pytest.fixture
    def world(self, world):
        return world

    @pytest.mark.django_db(transaction=True)  # threads have connections of their own
    def test_of_many_who_claim_at_once_one_gets_it(self, world, model, updates):
        super().test_of_many_who_claim_at_once_one_gets_it(world, model, updates)


def test_an_aggregate_that_a_run_made_is_like_any_other(world, metadata, model, sent):
    claim = metadata.claim(model, sent, now=NOW, lease=LEASE)

    made = metadata.finish(claim, world.result(model), now=NOW)

    aggregate = ModelAggregate.objects.get(pk=made)
    used = ModelUpdate.objects.filter(applied_aggregate=aggregate, status=ModelUpdate.Status.COMPLETE)
    assert sorted(used.values_list("pk", flat=True)) == sent
    assert (aggregate.federated_model_id, aggregate.checkpoint.number) == (model, 1)


def test_what_was_not_claimed_is_not_in_the_aggregate_and_goes_on_waiting(world, metadata, model, sent):
    claim = metadata.claim(model, sent[1:], now=NOW, lease=LEASE)

    assert [update.id for update in metadata.waiting(model, now=NOW)] == sent[:1]
    made = metadata.finish(claim, world.result(model), now=NOW)
    assert list(ModelAggregate.objects.get(pk=made).made_of.values_list("pk", flat=True)) == sent[1:]
    assert [update.id for update in metadata.waiting(model, now=NOW)] == sent[:1]


def test_workers_leave_alone_what_a_run_has_claimed(world, metadata, model, sent):
    metadata.claim(model, sent, now=NOW, lease=LEASE)

    world.work(NOW + LEASE / 2)

    assert not ModelAggregate.objects.exists()


def test_a_worker_takes_up_what_a_dead_run_left(world, metadata, model, sent):
    claim = metadata.claim(model, sent, now=NOW, lease=LEASE)

    world.work(NOW + LEASE * 2)

    assert ModelAggregate.objects.get().made_of.count() == 2
    with pytest.raises(ClaimLost):
        metadata.finish(claim, world.result(model), now=NOW + LEASE * 2)


def test_a_run_leaves_alone_what_a_worker_is_combining(world, metadata, model, sent):
    sent.append(world.update(model, world.client(model)))
    job = jobs.claim(NOW)

    assert metadata.waiting(model, now=NOW) == []
    with pytest.raises(NotClaimable):
        metadata.claim(model, sent, now=NOW, lease=LEASE)
    HANDLERS[job.kind](world.ports, job, now=NOW)
    assert ModelAggregate.objects.get().made_of.count() == 3


def test_updates_that_came_during_a_run_are_in_the_next_one(world, metadata, model, sent):
    claim = metadata.claim(model, sent, now=NOW, lease=LEASE)
    late = world.update(model, world.client(model))

    metadata.finish(claim, world.result(model), now=NOW)

    assert [update.id for update in metadata.waiting(model, now=NOW)] == [late]


def test_a_result_of_another_shape_is_refused_and_the_claim_stays(world, metadata, model, sent):
    claim = metadata.claim(model, sent, now=NOW, lease=LEASE)
    world.ports.blobs.put("results/bad", b"[[1, 2, 3], [4]]")

    with pytest.raises(Invalid):
        metadata.finish(claim, "results/bad", now=NOW)

    assert metadata.finish(claim, world.result(model), now=NOW)


def test_a_model_goes_on_after_a_run_that_rejected_everything(world, metadata, model, sent):
    claim = metadata.claim(model, sent, now=NOW, lease=LEASE)
    for update in sent:
        metadata.reject(claim, update, "not mine", now=NOW)
    metadata.release(claim, "Nothing was left.", now=NOW)

    for _ in range(3):
        world.update(model, world.client(model))
    world.work(NOW)

    assert ModelAggregate.objects.get().made_of.count() == 3


def test_an_option_that_means_nothing_is_refused(ports):
    with pytest.raises(Invalid, match="'url'"):
        DjangoMetadata.from_settings({"url": "x"}, ports)
