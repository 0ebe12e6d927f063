"""Federated models driven through the services, without a wire."""

import io
import json
from contextlib import contextmanager
from uuid import UUID

import pytest

from foedus.records.accounts.models import User
from foedus.server.work import HANDLERS
from foedus.services.aggregation import aggregates, incoming, membership, models, scores, updates
from foedus.services.aggregation.access import Caller, find_client
from foedus.services.aggregation.files import Pieces
from foedus.services.shell import jobs


@contextmanager
def weights(ports, value):
    """A JSON value, text, or a safetensors file, as it comes in."""
    if isinstance(value, bytes) and not value.startswith((b"[", b"{")):
        with incoming.safetensors_in(ports, iter([value]), 1 << 30) as found:
            yield found
        return
    text = value if isinstance(value, bytes) else json.dumps(value).encode()
    stream = io.BytesIO(text)
    step = 7 if len(text) < 1000 else 1 << 16  # small pieces where there are few
    pieces = iter(lambda: stream.read(step), b"")
    with incoming.json_bytes_in(ports, pieces) as found:
        yield found


class Bench:
    """Users, clients and models, and what they do."""

    def __init__(self, ports, clock):
        self.ports, self.clock = ports, clock
        self.developer = self.user("dev")
        self.staff = self.user("admin", is_staff=True)

    def user(self, name, **fields):
        return Caller(user=User.objects.create(username=name, **fields))

    def model(self, initial=None, *, by=None, **columns):
        by = by or self.developer
        columns = {"name": "demo", "aggregator": "average_layers", "allow_aggregation": True, **columns}
        clients = columns.pop("clients", None)
        wanted = models.Wanted(columns=columns, developer=columns.pop("developer", by.user), clients=clients)
        if initial is None:
            return models.create_model(self.ports, by, wanted, None, now=self.clock())
        with weights(self.ports, initial) as found:
            return models.create_model(self.ports, by, wanted, found, now=self.clock())

    def change(self, model, *, by=None, clients=None, **columns):
        wanted = models.Wanted(columns=columns, clients=clients)
        return models.change_model(self.ports, by or self.developer, model.pk, wanted, now=self.clock())

    def join(self, model, client=None):
        uuid = client.client.pk if client else None
        return Caller(client=find_client(membership.register_client(self.ports, model.pk, uuid, now=self.clock()).pk))

    def send(self, model, client, data, base=None, **more):
        command = updates.SubmitUpdate(federated_model=model.pk, base_aggregate=base.pk if base else None, **more)
        with weights(self.ports, data) as found:
            return updates.submit_update(self.ports, client, command, found, now=self.clock.passes(1))

    def upload(self, model, result, *, by=None, **fields):
        command = aggregates.UploadAggregate(federated_model=model.pk, **fields)
        with weights(self.ports, result) as found:
            return aggregates.upload_aggregate(
                self.ports, by or self.developer, command, found, now=self.clock.passes(1)
            )

    def score(self, aggregate, client, results):
        command = scores.SubmitScore(aggregate=aggregate.pk, client=UUID(str(client.client)), results=results)
        return scores.submit_score(self.ports, client, command, now=self.clock())

    def work(self):
        """What a worker does until there is nothing to do."""
        done = 0
        while (job := jobs.claim(self.clock.passes(0.001))) is not None:
            HANDLERS[job.kind](self.ports, job, now=self.clock())
            done += 1
        return done

    def json_of(self, document):
        with Pieces(self.ports, document) as pieces:
            return json.loads(b"".join(pieces))


@pytest.fixture
def bench(ports, clock):
    return Bench(ports, clock)
