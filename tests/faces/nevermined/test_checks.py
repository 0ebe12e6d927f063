"""The checks before a run, in their order: every request breaks one rule and all later ones that it can."""

import json
from dataclasses import replace

import pytest
from tests.markets import DID, container
from tests.node_market import CONSUMER, NODE, OTHER, OWNER

from foedus.core.market.rules import STRICT, Uploads
from foedus.faces.nevermined.hosts import Names
from foedus.faces.nevermined.limits import MARKET
from foedus.faces.nevermined.views.node import GRANT_TYPES
from foedus.ports.ledger import Order
from foedus.records.market.models import Execution, Purchase
from foedus.services.market import agreements, settling
from foedus.services.market.agreements import offer_of, terms_of, windows_of
from foedus.services.market.node import node_key
from foedus.wallet.grants import write_grant

pytestmark = pytest.mark.django_db
NOWHERE = "ab" * 32


class Stairs:
    """``market``, agreements that are as wrong as asked for, and the answer to an execution under one."""

    def __init__(self, market):
        self.market, self.ledger, self.seed = market, market.ports.ledger, 0
        market.order(99)
        self.offer = offer_of(Purchase.objects.get())
        self.node = node_key(market.ports.secrets).address

    def agreement(self, *, key=CONSUMER, amounts=(10, 2), paid=False, given_up=False):
        self.seed += 1
        price = replace(self.offer.price, amounts=amounts)
        terms = terms_of(
            replace(self.offer, price=price), self.market.data, key.address, key.address, self.ledger.network()
        )
        wanted = Order(
            seed=bytes([self.seed]) * 32, creator=key.address, terms=terms, windows=windows_of(self.offer, 1.0)
        )
        made = self.ledger.create(wanted, now=self.market.now)
        if given_up:
            self.ledger.abort(made.id, by=self.node, now=self.market.now)
        if paid:
            self.ledger.lock(made.id, payer=CONSUMER.address, now=self.market.now)
        return made.id.hex()

    def provided_by(self, address):
        self.ledger.register(self.market.data, owner=OWNER.address, providers=[address], now=self.market.now)

    def runs(self, agreement, state):
        agreements.take_up(self.market.ports, self.market.consumer, agreement, now=self.market.now)
        Execution.objects.create(
            execution=f"x-{agreement[:8]}-{state}", purchase=Purchase.objects.get(agreement=agreement), did="0" * 64,
            document="{}", consumer=CONSUMER.address, state=state, created_at=self.market.now,
        )  # fmt: skip

    def grant(self, agreement):
        self.ledger.grant(bytes.fromhex(agreement), by=self.node, now=self.market.now)

    def asked(self, agreement, workflow=DID, purpose="execute", shown=None):
        headers = self.market.token(purpose, sub=shown or agreement, did=str(workflow))
        return self.market.client.post(f"{NODE}/execute/{agreement}", headers=headers)


@pytest.fixture
def stairs(market):
    return Stairs(market)


def said(answer):
    return answer.status_code, answer.json()["error_description"]


def is_refused(answer, status, words):
    return said(answer)[0] == status and words in said(answer)[1]


def test_1_the_token(stairs):
    answer = stairs.market.client.post(f"{NODE}/execute/{NOWHERE}")

    assert (answer.status_code, answer.json()["error"]) == (401, "invalid_token")
    assert is_refused(stairs.asked(NOWHERE, purpose="compute"), 403, "the token is to compute")
    assert is_refused(stairs.asked(NOWHERE, shown="cd" * 32), 403, "another agreement")


@pytest.mark.parametrize(
    ("host", "status"),
    [("node.example", 201), ("NODE.example:443", 201), ("[::1]:80", 201), ("other.example", 401), ("localhost:8", 401),
     ("testserver", 401)],
)  # fmt: skip
def test_1_a_grant_for_another_node_gets_no_token(market, host, status):
    MARKET.configure(0, STRICT, names=Names.of(("node.example", "*")))
    claims = {"aud": f"https://{host}{NODE}/execute", "sub": NOWHERE, "did": DID}
    grant = write_grant(CONSUMER, claims, now=market.now.timestamp())

    answer = market.client.post(f"{NODE}/oauth/token", {"grant_type": GRANT_TYPES[0], "assertion": grant})

    assert answer.status_code == status, answer.content
    assert status == 201 or "FOEDUS_ALLOWED_HOSTS" in said(answer)[1]


def test_2_the_agreement_and_whose_it_is(stairs):
    assert is_refused(stairs.asked(NOWHERE), 404, "no such agreement")
    stairs.provided_by(OTHER.address)
    assert is_refused(stairs.asked(stairs.agreement(key=OTHER, amounts=(1, 1))), 403, "somebody else")


def test_3_who_provides_it(stairs):
    stairs.provided_by(OTHER.address)

    assert is_refused(stairs.asked(stairs.agreement(amounts=(1, 1))), 403, "not a provider")


def test_4_its_conditions(stairs):
    assert is_refused(stairs.asked(stairs.agreement(amounts=(1, 1), given_up=True)), 403, "conditions")
    assert is_refused(stairs.asked(stairs.agreement(amounts=(1, 1), paid=True)), 403, "conditions")


def test_5_its_payment_even_where_another_agreement_on_the_same_data_is_paid_and_granted(stairs):
    stairs.grant(stairs.agreement(paid=True))

    assert is_refused(stairs.asked(stairs.agreement()), 402, "not paid")


def test_6_its_window(stairs):
    agreement = stairs.agreement(paid=True)
    stairs.ledger.abort(bytes.fromhex(agreement), by=stairs.node, now=stairs.market.now)

    assert is_refused(stairs.asked(agreement), 410, "over")


def test_7_whether_it_was_had(stairs):
    agreement = stairs.agreement(paid=True)
    stairs.grant(agreement)
    stairs.runs(agreement, "Succeeded")
    stairs.runs(agreement, "Running")

    assert is_refused(stairs.asked(agreement), 409, "has been had")


def test_7_a_run_that_succeeded_was_had_before_its_ledger_says_so(stairs):
    agreement = stairs.agreement(paid=True)
    stairs.runs(agreement, "Succeeded")

    assert is_refused(stairs.asked(agreement), 409, "not settled yet")


def test_7_what_was_accepted_before_anything_ran_was_had(stairs):
    agreement = stairs.agreement(paid=True)
    agreements.take_up(stairs.market.ports, stairs.market.consumer, agreement, now=stairs.market.now)
    settling.accept(stairs.market.ports, stairs.market.consumer, agreement, now=stairs.market.now)

    assert is_refused(stairs.asked(agreement), 409, "was accepted")


def test_8_the_workflow_9_its_container_and_10_that_nothing_runs(stairs):
    agreement = stairs.agreement(paid=True)
    stairs.runs(agreement, "Running")
    strange = {"container": container(checksum="sha256:" + "0" * 64)}

    assert is_refused(stairs.asked(agreement), 400, "does not resolve")
    elsewhere = stairs.market.workflow(stairs.market.program, requirements=strange)
    assert is_refused(stairs.asked(agreement, elsewhere), 400, "is not what was bought")
    assert is_refused(stairs.asked(agreement, stairs.market.workflow(requirements=strange)), 400, "container")
    assert is_refused(stairs.asked(agreement, stairs.market.workflow()), 409, "under way")


BODIES = [b"", b"{", b"[]", b"null", b"1e999", b'"' + b"x" * 9000 + b'"', b"[" * 5000, b"\xff\xfe", b'{"a": NaN}',
          b'{"message": {}, "method": []}', b'{"workflowDid": [], "consumer": {}}', b'{"coordinator": {"url": 5}}',
          b'{"parameters": {"rounds": 1e400}}', b'{"serviceAgreementId": {}, "workflow": []}',
          b'{"message": "\\ud800", "method": "PSK-RSA"}', b'{"message": "\\u0000", "method": "PSK-RSA"}',
          b'{"grant_type": {}, "assertion": 7}', b'{"documentId": "\\ud800", "document": "\\u0000"}']  # fmt: skip
FEW = BODIES[:3]


@pytest.mark.parametrize(
    ("kind", "bodies"),
    [
        ("application/json", BODIES),
        ("application/x-www-form-urlencoded", BODIES[:3]),
        ("multipart/form-data", BODIES[:3]),
    ],
)
def test_no_body_is_too_strange_for_an_answer(market, kind, bodies):
    MARKET.configure(0, STRICT, Uploads(("s3",)))
    agreement = market.order()
    headers = market.token("execute", sub=agreement)
    for path in (
        "oauth/token",
        f"execute/{agreement}",
        f"fl/coordinator/{agreement}",
        "encrypt",
        "publish",
        "upload/s3",
    ):
        for body in bodies:
            answer = market.client.post(f"{NODE}/{path}", body, kind, headers=headers)
            assert 400 <= answer.status_code < 500, (path, body, answer.content)
            assert json.loads(answer.content)["error_description"]
