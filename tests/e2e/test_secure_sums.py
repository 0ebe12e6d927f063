"""Secure sums between services of their own, over a real NATS server and over AWS (moto), while processes die."""

import json
from contextlib import ExitStack
from uuid import uuid4

import pytest
from tests.e2e.service import Serve, until
from tests.e2e.test_federation import Node
from tests.e2e.test_federation_aws import REGION, client
from tests.servers.nats import NatsMissingError, nats_server
from tests.servers.s3 import MotoMissingError, s3_server

from foedus.services.customers.invitations import open_legacy_invitation

OWN = {"fed_enforce_hipaa_compliance": "false"}
pytestmark = [pytest.mark.slow, pytest.mark.timeout(560)]


@pytest.fixture
def services(tmp_path):
    with ExitStack() as stack:

        def started(count):
            environment = {"FOEDUS_SOURCES_ALLOW": "127.0.0.1", "FOEDUS_FACES": "native,symetryml"}
            return [Node(stack.enter_context(Serve(tmp_path / name, **environment))) for name in "abcd"[:count]]

        yield started


def federate(nodes, transport):
    admin, *others = nodes
    given = {"fed_name": "study", "sync_sched": "m3", "fed_use_smpc": "true", **OWN, **transport}
    admin.call("POST", "fedml/create?pid=p&persist=true", sealed=given)
    for each in others:
        asked = {"passwd": "orchid", "fed_rest_host": admin.service.url}
        text = admin.call("POST", "fedml/p/getInvitation", sealed=asked)["fedInfoEncrypted"]
        invitation = json.loads(open_legacy_invitation("orchid", text))
        assert invitation["fed_use_smpc"] == "true"
        each.call("POST", "fedml/createJoin?pid=p", sealed={**transport, **invitation, **OWN})
    for seed, each in enumerate(nodes):
        each.learn(seed)
        each.call("GET", "fedml/p/startPulse")
    met = lambda: all(len(each.status()["peers"]) >= len(others) for each in nodes)  # noqa: E731
    until(met, within_s=120, what="all have heard of all")


def stage(admin):
    return next((each["text"] for each in admin.status()["reasons"] if each["code"] == "sum_under_way"), "")


def begin(nodes):
    """The admin begins a sum half a minute after the one before, if somebody asks."""
    nodes[-1].call("GET", "fedml/p/fullSyncRequest")
    until(lambda: stage(nodes[0]), within_s=100, what="a sum is under way")


def assert_summed(nodes, rows):
    until(lambda: [each.rows() for each in nodes] == [rows] * len(nodes), within_s=100, what=f"a sum of {rows} rows")
    assert len({each.answers() for each in nodes}) == 1


def test_over_nats_workers_die_and_a_node_goes_for_good(services, tmp_path):
    try:
        broker = nats_server(tmp_path / "nats")
    except NatsMissingError as exc:
        pytest.skip(str(exc))
    with broker as server:
        nodes = services(4)
        federate(nodes, {"nats_hosts": server.url})
        begin(nodes)
        nodes[1].service.kill("worker")  # its part goes on in another process
        server.stop()
        server.start()
        assert_summed(nodes, 160)

        for seed, each in enumerate(nodes, start=10):
            each.learn(seed)
        begin(nodes)
        until(lambda: any(s in stage(nodes[0]) for s in ("confirm", "reveal")) or nodes[0].rows() == 320, within_s=100)
        nodes[3].service.kill_all()  # its numbers came: they count
        assert_summed(nodes[:3], 320)
        said = [line for each in nodes[:3] for line in each.call("GET", "fedml/p/getSyncLog")["stringList"]["values"]]
        assert not any(" received " in line or " sent " in line for line in said)
        assert all(peer["rows"] == 0 for each in nodes[:3] for peer in each.status()["peers"])


def test_over_aws_and_nothing_is_left(services):
    try:
        server = s3_server()
    except MotoMissingError as exc:
        pytest.skip(str(exc))
    with server as endpoint:
        s3, sns, sqs = (client(service, endpoint) for service in ("s3", "sns", "sqs"))
        bucket = f"test-{uuid4().hex}"
        s3.create_bucket(Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": REGION})
        nodes = services(3)
        federate(nodes, {
            "aws_access_key": "test", "aws_secret_key": "test", "aws_region": "eu-west-1", "s3_bucket": bucket,
            "aws_endpoint": endpoint, "aws_id": "123456789012",
        })  # fmt: skip
        begin(nodes)
        nodes[2].service.kill("worker")
        assert_summed(nodes, 120)

        for each in reversed(nodes):
            each.call("POST", "fedml/p/leave")
        assert not sqs.list_queues().get("QueueUrls")
        assert not sns.list_topics()["Topics"]
        assert not s3.list_objects_v2(Bucket=bucket).get("Contents")
