"""A NATS stream followed by real processes: whoever dies, nothing is lost and nothing counts twice."""

import asyncio
import json

import nats
import pytest
from tests.e2e.service import Serve, until
from tests.e2e.test_symetryml import Client
from tests.servers.nats import NatsMissingError, nats_server

from foedus.sdk import Operator, Site
from foedus.services.customers.bodies import seal_legacy

SUBJECT = "visits"


@pytest.fixture
def broker(tmp_path):
    try:
        with nats_server(tmp_path / "nats") as server:
            yield server
    except NatsMissingError as exc:
        pytest.skip(str(exc))


@pytest.fixture
def service(tmp_path):
    with Serve(tmp_path / "data", FOEDUS_SOURCES_ALLOW="127.0.0.1") as service:
        yield service


def published(url, ages):
    async def run():
        client = await nats.connect(url)
        for age in ages:
            await client.jetstream().publish(SUBJECT, json.dumps({"age": age}).encode())
        await client.close()

    asyncio.run(run())


@pytest.mark.slow
@pytest.mark.timeout(400)  # three starts of the service
def test_every_message_is_learned_once_whoever_dies(service, broker):
    with Operator(service.url, service.token) as operator:
        secret = operator.add_customer("c1", legacy=True)
    client = Client(service.url, "c1", secret)
    assert client.call("POST", "projects?pid=p1", {}).status_code == 201
    info = {"nats_hosts": broker.url, "nats.subject": SUBJECT}
    told = {"type": "nats", "name": "s1", "info": info}
    answer = client.call("POST", "projects/p1/streams/create", seal_legacy(secret, json.dumps(told).encode()).encode())
    assert answer.status_code == 201, answer.text
    assert client.call("GET", "projects/p1/streams/s1/start").status_code == 200

    def metrics():
        return client.call("GET", "projects/p1/streams/s1/metrics").json()["values"]["KSVSMap"]["values"][0]

    def learned(count):
        until(lambda: int(metrics()["rows"]) >= count, within_s=90, what=f"{count} rows are learned")

    published(broker.url, range(300))
    until(lambda: int(metrics()["rows"]) > 0, within_s=90, what="something is learned")
    service.kill("worker")
    published(broker.url, range(300, 500))
    learned(500)
    broker.stop()
    broker.start()
    published(broker.url, range(500, 600))
    learned(600)
    service.restart()
    published(broker.url, range(600, 650))
    learned(650)

    with Site(service.url, service.token, customer="c1", project="p1") as site:
        view = site.statistics().view(["age"])
    assert view.count.tolist() == [650]
    assert view.mean[0] == pytest.approx(649 / 2)
    assert metrics()["messages"] == "650"
    assert client.call("GET", "projects/p1/streams/s1/stop").status_code == 200
