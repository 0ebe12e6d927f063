"""Agreements over HTTP: ordered, looked at and ended by whom they concern."""

import pytest
from django.test import Client
from django.utils import timezone
from tests.markets import metadata, offer, raw, signed

from foedus import bootstrap
from foedus.core.market.dids import Did
from foedus.core.market.escrow import Terms, Windows
from foedus.core.market.rules import STRICT
from foedus.faces.nevermined.limits import MARKET
from foedus.faces.nevermined.views.accounts import ASSERTION_TYPE
from foedus.ports.ledger import DidUnregistered, Order
from foedus.services.market import catalogue
from foedus.services.market.node import node_key
from foedus.services.market.parties import ANYBODY
from foedus.services.market.purchases import agreement_id
from foedus.wallet.grants import write_grant
from foedus.wallet.keys import Key

pytestmark = pytest.mark.django_db
OWNER, CONSUMER, OTHER = (Key(bytes([i]) * 32) for i in (1, 2, 3))
SEED = "07" * 32


class Api:
    """One party's calls."""

    def __init__(self, key=None):
        MARKET.configure(0, STRICT)
        self.client = Client(raise_request_exception=False)
        self.headers = {}
        if key:
            grant = write_grant(key, {}, now=timezone.now().timestamp())
            fields = {"client_assertion_type": ASSERTION_TYPE, "client_assertion": grant}
            token = self.client.post("/api/v1/auth/login", fields).json()["access_token"]
            self.headers = {"Authorization": f"Bearer {token}"}

    def get(self, path):
        return self.client.get(f"/api/v1/market{path}", headers=self.headers)

    def post(self, path, body=None):
        data = raw(body or {})
        return self.client.generic("POST", f"/api/v1/market{path}", data, "application/json", headers=self.headers)


@pytest.fixture
def did():
    document = signed(OWNER, metadata("compute"), offer())
    catalogue.publish(ANYBODY, document, now=timezone.now())
    return str(document.did)


@pytest.fixture
def consumer():
    ledger = bootstrap.ports().ledger
    ledger.mint(CONSUMER.address, ledger.network().token, 30, reference="start", now=timezone.now())
    return Api(CONSUMER)


def test_an_owner_makes_an_offer_known_to_who_orders_from_elsewhere(did):
    ledger, node = bootstrap.ports().ledger, node_key(bootstrap.ports().secrets).address
    terms = Terms(did=Did.parse(did), consumer=CONSUMER.address, amounts=(), receivers=(),
                  token=ledger.network().token, return_address=CONSUMER.address)  # fmt: skip
    wanted = Order(seed=b"1" * 32, creator=CONSUMER.address, terms=terms, windows=Windows())

    def put(key, body):
        api = Api(key)
        path = f"/api/v1/market/assets/{did}"
        return api.client.put(path, raw(body), "application/json", headers=api.headers)

    with pytest.raises(DidUnregistered):
        ledger.create(wanted, now=timezone.now())
    assert [put(None, {}).status_code, put(OTHER, {}).status_code] == [403, 403]
    assert [put(OWNER, {"providers": each}).status_code for each in ("x", ["x"], [OTHER.address] * 33)] == [400] * 3
    assert put(OWNER, {}).json() == {"did": did, "providers": [node]}
    assert ledger.create(wanted, now=timezone.now()).providers == (node,)
    assert put(OWNER, {"providers": [OTHER.address]}).status_code == 201
    assert ledger.get(agreement_id(wanted.seed, wanted.creator), now=timezone.now()).is_provided_by(OTHER.address)


def test_an_offer_is_ordered_looked_at_and_accepted(did, consumer):
    ordered = consumer.post("/agreements", {"did": did, "seed": SEED})
    again = consumer.post("/agreements", {"did": did, "seed": "0x" + SEED})
    path = f"/agreements/{ordered.json()['agreementId']}"

    assert (ordered.status_code, ordered.json()) == (201, again.json())
    assert [(each["name"], each["state"]) for each in ordered.json()["conditions"]] == [
        ("lockPayment", "fulfilled"), ("execCompute", "unfulfilled"), ("escrowPayment", "unfulfilled"),
    ]  # fmt: skip
    assert consumer.post(path + "/accept").json()["outcome"] == "released"
    assert consumer.get(path).json()["waitsFor"] == ""
    assert [each["agreementId"] for each in consumer.get("/agreements").json()] == [ordered.json()["agreementId"]]
    statement = consumer.get("/statement").json()
    assert [(each["kind"], each["amount"]) for each in statement["entries"]] == [("lock", "-12"), ("mint", "30")]
    assert sorted(statement["balances"].values()) == ["0", "18"]


def test_who_provides_gives_up_and_the_money_is_back(did, consumer):
    ordered = consumer.post("/agreements", {"did": did, "seed": SEED}).json()["agreementId"]

    refused = consumer.post(f"/agreements/{ordered}/refund")
    given_up = Api(OWNER).post(f"/agreements/{ordered}/give-up")

    assert (refused.status_code, refused.json()["error"]) == (409, "not_timed_out")
    assert given_up.json()["outcome"] == "refunded"


@pytest.mark.parametrize("step", ["", "/pay", "/accept", "/give-up", "/refund"])
def test_to_others_an_agreement_is_not_there(did, consumer, step):
    ordered = consumer.post("/agreements", {"did": did, "seed": SEED}).json()["agreementId"]

    for api in (Api(), Api(OTHER)):
        answer = api.post(f"/agreements/{ordered}{step}") if step else api.get(f"/agreements/{ordered}")
        assert (answer.status_code, answer.json()["error"]) == (404, "not_found")
    assert Api(OTHER).get("/agreements").json() == []


def test_nobody_in_particular_orders_nothing_and_has_nothing(did):
    assert Api().post("/agreements", {"did": did, "seed": SEED}).status_code == 401
    assert Api().get("/statement").status_code == 401


@pytest.mark.parametrize(("fields", "named"), [
    ({}, "did"), ({"seed": SEED}, "did"), ({"did": "x", "seed": SEED}, "did"), ({"did": "did:nv:1"}, "order.seed"),
    ({"did": "did:nv:1", "seed": "07"}, "seed"), ({"did": "did:nv:1", "seed": 7}, "order.seed"),
])  # fmt: skip
def test_what_is_no_order_is_refused_by_the_name_of_its_field(consumer, fields, named):
    answer = consumer.post("/agreements", fields)

    assert (answer.status_code, answer.json()["field"]) == (400, named)


def test_who_has_too_little_is_told_so(did):
    answer = Api(OTHER).post("/agreements", {"did": did, "seed": SEED})

    assert (answer.status_code, answer.json()["error"]) == (409, "no_funds")


def test_everybody_sees_where_agreements_live():
    found = Api().get("/network").json()

    assert (found["id"], found["block_seconds"]) == ("local", 1.0)
    assert len({*found["contracts"].values(), found["token"]}) == 5
