"""What an execution may be asked for by: the token, the body, or the parameters of a session alone."""

import json
import secrets

import pytest
from tests.markets import DID, conditions, container, coordinator, metadata, offer
from tests.node_market import CONSUMER, NODE, OTHER, OWNER, balances

from foedus.core.market.dids import Did
from foedus.ports.ledger import LedgerUnavailable
from foedus.records.market.models import Asset, Execution

pytestmark = pytest.mark.django_db
PREFIXES = pytest.mark.parametrize("prefix", [NODE, "/api/v1/gateway/services"])
PARTS = {
    "did": DID,
    "agreement": "ab" * 32,
    "execution": "x-1",
    "backend": "s3",
    "index": 0,
    "number": 1,
    "step": "pay",
}
PARAMETERS = {"rounds": 2, "minParticipants": 1, "participantsRatio": 1.0}


def coordinators(market, kind="fl-coordinator", asset="compute", **main):
    return market.publish(OWNER, offer(kind, **main), metadata(asset, name=f"Place {Asset.objects.count()}"))


def lead(market, agreement, body, prefix=NODE, **claims):
    headers = market.token("execute", prefix=prefix, **{"sub": agreement, **claims})
    return market.client.post(
        f"{prefix}/fl/coordinator/{agreement}", json.dumps(body), "application/json", headers=headers
    )


@PREFIXES
@pytest.mark.parametrize("wrapped", [True, False])
def test_a_session_is_ordered_by_its_parameters_alone(market, prefix, wrapped):
    agreement = market.order(did=coordinators(market))

    answer = lead(market, agreement, {"parameters": PARAMETERS} if wrapped else PARAMETERS, prefix)

    assert answer.status_code == 200, answer.content
    workflow = Asset.objects.get(did=Did.parse(answer.json()["workflowDid"]).hex)
    main = json.loads(workflow.document)["service"][0]["attributes"]["main"]
    assert (workflow.owner, main["type"], main["parameters"]) == (CONSUMER.address, "fl-coordinator", PARAMETERS)
    assert main["workflow"]["stages"][0]["requirements"]["container"] == container()
    execution = Execution.objects.get(execution=answer.json()["workflowId"])
    assert (execution.did, execution.consumer) == (workflow.did, CONSUMER.address)


@pytest.mark.parametrize(
    ("body", "named"),
    [
        ({**PARAMETERS, "rounds": 0}, "rounds"),
        ({**PARAMETERS, "participantsRatio": 2}, "participantsRatio"),
        ({}, "participantsRatio"),
        ({"parameters": [1]}, "parameters"),
        ([], "object"),
    ],
)
def test_parameters_out_of_range_publish_nothing(market, body, named):
    agreement, before = market.order(did=coordinators(market)), Asset.objects.count()

    answer = lead(market, agreement, body)

    assert (answer.status_code, named in answer.json()["error_description"]) == (400, True), answer.content
    assert (Asset.objects.count(), Execution.objects.count()) == (before, 0)


def test_no_session_is_led_under_an_offer_to_compute_next_to_data(market):
    agreement, before = market.order(), Asset.objects.count()

    assert lead(market, agreement, PARAMETERS).status_code == 400
    assert Asset.objects.count() == before


def test_a_second_order_while_a_session_is_led_is_a_conflict(market):
    agreement = market.order(did=coordinators(market))

    assert [lead(market, agreement, PARAMETERS).status_code for _ in range(2)] == [200, 409]


def test_an_offer_of_type_compute_leads_sessions_where_there_is_no_data(market):
    did = coordinators(market, "compute")

    answer = market.execute(market.order(did=did), market.publish(CONSUMER, coordinator()))

    assert answer.status_code == 200, answer.content


@pytest.mark.parametrize("path", ["/execute/{}", "/compute/execute/{}"])
def test_the_body_may_name_workflow_and_consumer(market, path):
    agreement, workflow = market.order(), str(market.workflow())
    headers = market.token("execute", sub=agreement)

    def asked(**body):
        return market.client.post(NODE + path.format(agreement), json.dumps(body), "application/json", headers=headers)

    assert asked().status_code == 400  # neither the token nor the body says what to run
    assert asked(workflowDid=workflow, consumer=OTHER.address).status_code == 403
    assert asked(workflowDid=workflow, consumer="me").status_code == 400
    assert asked(workflowDid="did:nv:x").status_code == 400
    assert asked(workflowDid=workflow, consumer=CONSUMER.address).status_code == 200


def test_a_body_that_names_another_workflow_than_the_token_is_refused(market):
    answer = market.execute(market.order(), market.workflow(), body={"workflowDid": DID})

    assert answer.status_code == 403


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("post", "/execute/{}"),
        ("post", "/compute/execute/{}"),
        ("post", "/fl/coordinator/{}"),
        ("get", "/compute/status/{}/x-1"),
        ("get", "/compute/logs/{}/x-1"),
        ("delete", "/compute/stop/{}/x-1"),
        ("get", "/access/{}"),
        ("get", "/access/{}/0"),
    ],
)
@PREFIXES
def test_an_agreement_that_has_no_id_is_refused_whoever_asks(market, method, path, prefix):
    stated = "bb23s87856d59867503f80a690357406857698570b964ac8dcc9d86da4ada010"

    answer = getattr(market.client, method)(prefix + path.format(stated))

    assert (answer.status_code, "64 hexadecimal" in answer.json()["error_description"]) == (400, True)


def test_what_names_a_price_and_no_receiver_is_its_creators_and_not_free(market):
    priced = offer("compute", agreed=[], price="7")
    did = market.publish(OWNER, priced, metadata("dataset", name="Dear"), files=("rows.csv", "rows"))

    market.execute(market.order(did=did), market.workflow(did))
    market.work()

    token = market.ports.ledger.network().token
    assert (balances(market)[0], market.ports.ledger.balance(OWNER.address, token)) == (993, 7)


def test_who_orders_is_told_what_an_offer_leaves_open(market):
    def ordered(template, **more):
        sold = {**offer("compute", **more), "templateId": template}
        did = market.publish(OWNER, sold, metadata("dataset", name=f"A {template}"))
        body = json.dumps({"did": str(did), "seed": secrets.token_hex(32)})
        return market.client.post("/api/v1/market/agreements", body, "application/json", headers=market.login())

    told = ordered("0x" + "44" * 20)
    assert told.status_code == 201, told.content
    assert "template" in told.json()["warnings"][0]
    assert ordered(market.ports.ledger.network().template).json()["warnings"] == []
    untimed = [{**each, "timeout": 0} for each in conditions()]
    assert "refunded" in ordered("", agreed=untimed).json()["warnings"][0]


def test_the_root_says_what_this_node_is(market):
    said = market.client.get("/").json()

    network = market.ports.ledger.network()
    assert (said["network"], said["contracts"]["LockPaymentCondition"]) == ("local", network.contracts.lock)
    assert said["provider-address"].startswith("0x")
    assert said["ecdsa-public-key"].startswith("0x04")
    assert {"software", "version", "APIversion", "plugins", "keeper-url", "keeper-version", "external-contracts",
            "rsa-public-key", "babyjub-public-key"} <= set(said)  # fmt: skip
    assert market.client.get("/health").status_code == 200


def test_while_its_ledger_is_away_a_node_says_who_it_is_and_that_it_is_not_well(market, monkeypatch):
    def away(*_, **__):
        raise LedgerUnavailable

    monkeypatch.setattr(market.ports.ledger, "balance", away)
    health = market.client.get("/health")
    monkeypatch.setattr(market.ports.ledger, "network", away)
    said = market.client.get("/").json()

    assert (health.status_code, "ledger" in health.json()["error_description"]) == (400, True)
    assert (said["network"], said["contracts"]) == (None, {})
    assert said["provider-address"].startswith("0x")


def test_what_a_body_of_an_order_may_name_its_offer_by(market):
    login, did = market.login(), str(market.data)

    def ordered(index, seed):
        body = {"did": did, "seed": seed * 32, "index": index}
        answer = market.client.post("/api/v1/market/agreements", body, "application/json", headers=login)
        return answer.status_code, answer.json().get("index")

    assert [ordered(15, "01"), ordered("15", "02")] == [(201, "15")] * 2
    assert [ordered(each, "03")[0] for each in (16, [15], 10**400)] == [404, 400, 400]


def test_a_good_token_does_not_make_a_bad_address_a_matter_of_logging_in(market):
    headers = market.token("download", did=str(market.data))

    for path in "download/x", "download/-1", "compute/status/UPPER":
        assert market.client.get(f"{NODE}/{path}", headers=headers).status_code == 404
    assert market.client.put(f"{NODE}/nowhere").status_code == 404


def test_every_address_is_described_and_answers_as_it_says(market):
    document = market.client.get("/spec").json()

    assert "/api/v1/gateway/services/execute/{agreement}" in document["paths"]
    for path, methods in document["paths"].items():
        for each in path, path + "/":
            allowed = market.client.options(
                each.replace("{did}", DID).replace("{step}", "pay").replace("{", "").replace("}", "")
            )
            assert {method.upper() for method in methods} <= set(allowed["Allow"].split(", "))
    assert b"/api/v1/node/services/oauth/token" in market.client.get("/api/v1/docs").content


@pytest.mark.parametrize("path", ["node/services/nowhere", "gateway", "metadata/assets/nowhere", "auth/x"])
def test_where_nothing_is_the_answer_says_so(market, path):
    answer = market.client.post(f"/api/v1/{path}")

    assert (answer.status_code, answer.json()["error"]) == (404, "not_found")
