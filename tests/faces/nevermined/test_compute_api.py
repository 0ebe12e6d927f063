"""The compute API behind the node: for its operator, with the checks of the node."""

import json

import pytest
from tests.markets import coordinator, ddo, metadata, offer
from tests.node_market import CONSUMER, OTHER, OWNER, balances

from foedus.core.market.dids import Did
from foedus.core.market.rules import STRICT
from foedus.faces.nevermined.limits import MARKET
from foedus.records.market.models import Account, Asset, Execution

pytestmark = pytest.mark.django_db
BASE = "/api/v1/nevermined-compute-api"


@pytest.fixture
def operator(market):
    headers = market.login(OTHER)
    Account.objects.filter(address=OTHER.address).update(is_administrator=True)
    return Operator(market, headers)


class Operator:
    def __init__(self, market, headers):
        self.market, self.headers = market, headers

    def get(self, path):
        return self.market.client.get(BASE + path, headers=self.headers)

    def stop(self, execution):
        return self.market.client.delete(f"{BASE}/stop/{execution}", headers=self.headers)

    def init(self, agreement, workflow):
        body = json.dumps({"serviceAgreementId": agreement, "workflow": workflow})
        return self.market.client.post(f"{BASE}/init", body, "application/json", headers=self.headers)

    def workflow(self):
        return json.loads(Asset.objects.get(did=self.market.workflow().hex).document)


def test_a_workflow_given_whole_is_run_and_seen(operator, market):
    agreement, workflow = market.order(), operator.workflow()

    started = operator.init("0x" + agreement, workflow)
    execution = started.content.decode()
    market.work()

    assert (started.status_code, started["Content-Type"].partition(";")[0]) == (200, "text/plain")
    assert operator.get("/list").json() == [execution]
    said = operator.get(f"/status/{execution}").json()
    assert (said["status"], said["finishedAt"][-1]) == ("Succeeded", "Z")
    assert [line["content"] for line in operator.get(f"/logs/{execution}").json()] == ["counted"]
    info = operator.get(f"/info/{execution}")
    assert f'serviceAgreementId: "{agreement}"' in info.content.decode()
    assert f'name: "{execution}"' in info.content.decode()
    assert balances(market) == [988, 10, 2]
    found = Execution.objects.get()
    assert (found.consumer, found.did) == (CONSUMER.address, Did.parse(workflow["id"]).hex)


def test_what_cannot_start_is_said_in_words(operator, market):
    agreement, workflow = market.order(), operator.workflow()
    label = "bb23s87856d59867503f80a690357406857698570b964ac8dcc9d86da4ada010"

    answers = [
        operator.init(label, workflow),
        operator.init("ab" * 32, workflow),
        operator.init(agreement, ddo(coordinator())),
        operator.init(agreement, "a workflow"),
        operator.init(agreement, {"id": "x"}),
    ]

    assert {answer.status_code for answer in answers} == {400}
    assert all(answer.content.startswith(b"Workflow could not start") for answer in answers)
    assert not Execution.objects.exists()


def test_what_is_unknown_is_said_so_and_stopping_it_is_fine(operator, market):
    assert [operator.get(f"/{each}/x-1").status_code for each in ("status", "logs", "info")] == [400, 400, 400]
    assert operator.stop("x-1").status_code == 200
    execution = operator.init(market.order(), operator.workflow()).content.decode()

    assert operator.stop(execution).status_code == 200
    assert Execution.objects.get().state == "Failed"


def test_only_administrators_reach_it_unless_the_operator_opened_it(operator, market):
    operator.headers = {}
    assert [operator.get("/list").status_code, operator.stop("x").status_code] == [401, 401]
    assert operator.init("ab" * 32, {}).status_code == 401
    operator.headers = market.login(CONSUMER)
    assert operator.get("/list").status_code == 403
    operator.headers = {}
    MARKET.configure(0, STRICT, is_compute_open=True)

    assert operator.get("/list").json() == []


def test_nobody_but_its_buyer_is_told_by_which_tokens_a_session_is_joined(operator, market):
    place = market.publish(OWNER, offer("fl-coordinator"), metadata("compute", name="A place to lead sessions"))
    plan = market.publish(CONSUMER, coordinator(allowedAgreements=["ab" * 32]))
    agreement = market.order(2, place)
    execution = market.execute(agreement, plan).json()["workflowId"]

    assert operator.get(f"/status/{execution}").json()["coordinator"]["tokens"] == {}
    own = market.get(f"/compute/status/{agreement}/{execution}", sub=agreement, execution_id=execution).json()
    assert list(own["coordinator"]["tokens"]) == ["ab" * 32]
