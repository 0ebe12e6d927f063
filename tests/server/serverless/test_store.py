import json
import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from itertools import count

import pytest

from foedus.connectors.metadata.memory import MemoryMetadata
from foedus.core.errors import Invalid, Unavailable
from foedus.ports.blobs import BlobsUnavailable
from foedus.ports.metadata import FederatedModel, ModelMissing, ModelUpdate, Outcome
from foedus.server.serverless.store import LEASE, StoreAggConnector, eligible

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)


def clock():
    return NOW


class Site:
    """Models, clients and updates in memory, and an aggregator over them."""

    def __init__(self, ports):
        self.ports = ports
        self.metadata = MemoryMetadata()
        self._numbers = count()
        self.connector = StoreAggConnector.from_settings(self.metadata, None, ports)

    def model(self, **fields):
        return self.metadata.add_model(**fields)

    def send(self, model, value, client="a", base=None):
        self.metadata.add_client(model, client)
        key = f"updates/{next(self._numbers)}"
        self.ports.blobs.put(key, value if isinstance(value, bytes) else json.dumps(value).encode())
        return self.metadata.add_update(model, client, key, base)

    def run(self, model):
        return self.connector.run(model, now=clock)

    def result(self, model):
        newest = self.metadata.aggregates(model)[-1]
        return json.loads(b"".join(self.ports.blobs.read(newest.data)))


@pytest.fixture
def site(ports):
    return Site(ports)


@pytest.mark.parametrize(
    ("values", "mean"),
    [
        ([[[1, 2], [3]], [[3, 4], [4]]], [[2.0, 3.0], [3.5]]),
        ([[[1, 2], [3, 4]], [[3, 4], [5, 6]]], [[2.0, 3.0], [4.0, 5.0]]),
        ([1, 2], 1.5),
        ([{"w": [1, 2], "b": [0]}, {"w": [3, 2], "b": [1]}], {"w": [2.0, 2.0], "b": [0.5]}),
    ],
)
def test_the_aggregate_is_the_mean_in_the_form_of_the_updates(site, values, mean):
    model = site.model()
    for i, value in enumerate(values):
        site.send(model, value, client=f"c{i}")

    outcome = site.run(model)

    assert site.result(model) == mean
    assert outcome == Outcome(model=model, aggregate=site.metadata.aggregates(model)[-1].id)


def test_without_updates_there_is_nothing_to_do(site):
    model = site.model()

    assert site.run(model) == Outcome(model=model, reason="There are no updates to aggregate.")


@pytest.mark.parametrize("bad", [b"[1, 2", b'["a"]', b"[[1, 2, 3]]", b"[1e999, 2]", b"null"])
def test_an_update_that_cannot_be_used_is_set_aside_and_holds_nobody_up(site, bad):
    model = site.model()
    good = [site.send(model, [1.0, 2.0], "a"), site.send(model, [3.0, 4.0], "b")]
    wrong = site.send(model, bad, "c")

    outcome = site.run(model)

    assert outcome.rejected == (wrong,)
    assert site.result(model) == [2.0, 3.0]
    assert site.metadata.aggregates(model)[-1].updates == tuple(good)
    assert site.metadata.state(wrong)[0] == "rejected"
    assert site.metadata.state(wrong)[1]


def test_an_update_whose_weights_are_gone_is_set_aside(site):
    model = site.model()
    site.send(model, [1.0], "a")
    lost = site.metadata.add_update(model, "a", "updates/lost")

    assert site.run(model).rejected == (lost,)


def test_where_too_few_good_ones_are_left_they_wait_for_more(site):
    model = site.model(requirement="require_x_updates", arguments=(2,))
    good, bad = site.send(model, [1.0], "a"), site.send(model, b"[", "b")

    outcome = site.run(model)

    assert (outcome.aggregate, outcome.rejected) == (None, (bad,))
    assert outcome.reason == "1 of 2 needed updates handed in."
    assert site.metadata.state(good) == ("waiting", outcome.reason)


def test_all_clients_have_to_hand_in_where_that_is_required(site):
    model = site.model(requirement="all_clients")
    site.send(model, [1.0], "a")
    site.send(model, [2.0], "a")
    site.metadata.add_client(model, "b")

    assert "1 of 2" in site.run(model).reason
    site.send(model, [3.0], "b")
    site.run(model)
    assert site.result(model) == [2.0]


def test_paused_models_are_left_alone(site):
    model = site.model(active=False)
    site.send(model, [1.0])

    assert site.run(model) == Outcome(model=model, reason="Aggregation is paused.")


def test_two_runs_at_once_are_one(site):
    model = site.model()
    update = site.send(model, [1.0])
    site.send(model, [2.0])
    site.metadata.claim(model, [update], now=NOW, lease=LEASE)

    assert site.run(model) == Outcome(model=model, reason="Another run is at this model.")


def test_a_failure_gives_the_updates_back_and_says_why(site, monkeypatch):
    model = site.model()
    update = site.send(model, [1.0])

    def away(key, path):
        raise BlobsUnavailable(key=key)

    monkeypatch.setattr(site.ports.blobs, "put_file", away)
    with pytest.raises(Unavailable):
        site.run(model)

    assert site.metadata.state(update) == ("waiting", "The blob store does not answer.")


@pytest.mark.parametrize(
    "fields", [{"requirement": "x"}, {"requirement": "require_x_updates", "arguments": ("2",)}, {"aggregator": "exec"}]
)
def test_rules_that_nobody_knows_are_errors(site, fields):
    model = site.model(**fields)
    site.send(model, [1.0])

    with pytest.raises(Invalid):
        site.run(model)


def test_what_is_no_model_is_missing(site):
    with pytest.raises(ModelMissing):
        site.run(99)


def test_the_newest_aggregate_is_no_step_away():
    model = FederatedModel(id=1, aggregator="average_layers", furthest_base=1, clients=frozenset({"a"}))
    updates = [
        ModelUpdate(id=i, client=client, data="x", staleness=staleness)
        for i, (client, staleness) in enumerate([("a", 0), ("a", 1), ("a", 2), ("a", None), ("gone", 0)])
    ]

    assert [update.id for update in eligible(model, updates)] == [0, 1]


def test_without_a_bound_any_base_will_do():
    model = FederatedModel(id=1, aggregator="average_layers", clients=frozenset({"a"}))
    updates = [ModelUpdate(id=i, client="a", data="x", staleness=staleness) for i, staleness in enumerate([0, 9, None])]

    assert eligible(model, updates) == updates


def test_a_run_holds_its_claim_for_longer_than_it_takes_to_renew_it():
    assert timedelta(seconds=10) < LEASE


def test_a_store_of_somebody_elses_needs_no_django(tmp_path):
    code = """
from datetime import UTC, datetime
from pathlib import Path
from foedus.connectors.blobs.memory import MemoryBlobs
from foedus.connectors.metadata.memory import MemoryMetadata
from foedus.ports import Ports
from foedus.server.serverless.store import StoreAggConnector
ports = Ports(blobs=MemoryBlobs(), bus=None, push=None, secrets=None, scratch=Path("."))
store = MemoryMetadata()
model = store.add_model()
store.add_client(model, "a")
ports.blobs.put("u", b"[1, 2]")
store.add_update(model, "a", "u")
print(StoreAggConnector.from_settings(store, None, ports).run(model, now=lambda: datetime.now(UTC)).aggregate)
"""
    environment = {name: value for name, value in os.environ.items() if name != "DJANGO_SETTINGS_MODULE"}

    ran = subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        env=environment, cwd=tmp_path, capture_output=True, text=True, check=False,
    )  # fmt: skip

    assert (ran.stdout, ran.stderr) == ("3\n", "")
