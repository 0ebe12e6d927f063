"""Three services with databases and keys of their own, which find each other over one NATS server alone."""

import json
from contextlib import ExitStack

import pytest
from tests.e2e.service import Serve, until, wait_healthy
from tests.e2e.test_symetryml import Client
from tests.servers.nats import NatsMissingError, nats_server
from tests.services.federation.conftest import frame

from foedus.sdk import Operator
from foedus.services.customers.bodies import seal_legacy
from foedus.services.customers.invitations import open_legacy_invitation

EXACT = {"full_precision": "true"}
ASKED = {
    "uni": {"values": [{"inputAttributes": [0], "extraParameters": EXACT}]},
    "bi": {"values": [{"inputAttributes": [0, 1], "extraParameters": EXACT}]},
}


class Node:
    """One service, and the customer that federates there."""

    def __init__(self, service):
        self.service = service
        with Operator(service.url, service.token) as operator:
            self.secret = operator.add_customer("c1", legacy=True)

    def call(self, method, path, body=None, *, sealed=None):
        if sealed is not None:
            body = seal_legacy(self.secret, json.dumps(sealed).encode()).encode()
        answer = Client(self.service.url, "c1", self.secret).call(method, path, body)
        assert answer.status_code < 300, answer.text
        return answer.json()["values"]

    def learn(self, seed, project="p"):
        self.call("POST", f"projects/{project}/learn?async=false", frame(seed))

    def rows(self):
        return self.call("GET", "projects/p/info")["smlInfo"]["count"]

    def answers(self, project="p"):
        path = f"projects/{project}/explore?returnProjectInfo=false&metric="
        found = [self.call("POST", path + metric, asked) for metric, asked in ASKED.items()]
        return json.dumps(found)

    def status(self):
        return self.call("GET", "fedml/p/status")["fedStatus"]


@pytest.fixture
def broker(tmp_path):
    try:
        with nats_server(tmp_path / "nats", "--user", "u", "--pass", "orchid", credentials="u:orchid@") as server:
            yield server
    except NatsMissingError as exc:
        pytest.skip(str(exc))


@pytest.fixture
def nodes(tmp_path):
    with ExitStack() as stack:
        started = [
            stack.enter_context(
                Serve(tmp_path / name, FOEDUS_SOURCES_ALLOW="127.0.0.1", FOEDUS_FACES="native,symetryml")
            )
            for name in "abc"
        ]
        yield [Node(service) for service in started]


@pytest.mark.timeout(500)  # five starts of a service
def test_nodes_that_share_nothing_answer_as_one_project(nodes, broker):
    admin, *others = nodes
    given = {
        "fed_name": "study", "sync_sched": "m1", "nats_hosts": broker.url.replace("u:orchid@", ""),
        "nats_sec_user": "u", "nats_sec_passwd": "orchid", "fed_enforce_hipaa_compliance": "false",
    }  # fmt: skip
    admin.call("POST", "fedml/create?pid=p&persist=true", sealed=given)
    for each in others:
        asked = {"passwd": "orchid", "fed_rest_host": admin.service.url}
        text = admin.call("POST", "fedml/p/getInvitation", sealed=asked)["fedInfoEncrypted"]
        invitation = json.loads(open_legacy_invitation("orchid", text))
        each.call("POST", "fedml/createJoin?pid=p", sealed={**invitation, "fed_enforce_hipaa_compliance": "false"})
    for each in nodes:
        each.call("GET", "fedml/p/startPulse")
    for seed, each in enumerate(nodes):
        each.learn(seed)

    def together(rows):
        def agreed():
            return [each.rows() for each in nodes] == [rows] * 3 and len({each.answers() for each in nodes}) == 1

        until(agreed, within_s=120, what=f"all nodes answer from {rows} rows")

    together(120)
    broker.stop()
    nodes[1].service.kill("worker")
    nodes[1].learn(3)
    nodes[2].learn(4)
    until(lambda: any(r["code"] == "transport" for r in nodes[2].status()["reasons"]), within_s=60, what="it is said")
    nodes[2].service.kill("web")
    wait_healthy(nodes[2].service.url)
    broker.start()
    together(200)

    admin.call("POST", "projects?pid=pooled&type=cpu&enableHistogram=true", {})
    for seed in range(5):
        admin.learn(seed, "pooled")
    for one, all_of_them in zip(json.loads(admin.answers()), json.loads(admin.answers("pooled")), strict=True):
        for name, value in one["KSVDMap"]["values"][0].items():
            assert value == pytest.approx(all_of_them["KSVDMap"]["values"][0][name], rel=1e-11), name
    assert all(each.call("GET", "fedml/p/getErrorLog")["stringList"]["values"] == [] for each in nodes)
