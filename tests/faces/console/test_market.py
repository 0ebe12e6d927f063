"""The market's pages: what is on offer for all of the staff, what is somebody's for administrators alone."""

import json
import re
from dataclasses import replace

import pytest
from tests.faces.console.test_pages import HOSTILE, browser
from tests.markets import coordinator, metadata, offer
from tests.node_market import OWNER, Market

from foedus import bootstrap
from foedus.connectors.ledger.local.ledger import LocalLedger
from foedus.core.market.leading import Lead, Member, Phase, Standing
from foedus.faces.console.templatetags.figures import brief, short
from foedus.ports.ledger import LedgerUnavailable
from foedus.records.market.models import Asset, Execution, LedSession
from foedus.services.market import settling

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def market(ports, monkeypatch):
    whole = replace(ports, ledger=LocalLedger(1.0))
    monkeypatch.setattr(bootstrap, "ports", lambda: whole)
    return Market(whole)


@pytest.fixture
def session(market):
    """A session in its third round, whose place is offered by somebody who wants to be more than data."""
    place = market.publish(OWNER, offer("fl-coordinator"), metadata("compute", name=HOSTILE))
    agreement = market.order(2, place)
    plan = market.publish(OWNER, coordinator(rounds=4))
    answer = market.execute(agreement, plan)
    execution = Execution.objects.get(execution=answer.json()["workflowId"])
    Execution.objects.filter(pk=execution.pk).update(state="Running", started_at=market.now)
    member = Member("m", "ab" * 32, Standing.SELECTED, seen_at=1.0, chosen_for=2)
    state = Lead(
        began_at=0.0, round_at=1.0, phase=Phase.ROUND, round=2, members=(member,),
        past=({"x": 0}, {"x": 300, "y": 1200}),
    )  # fmt: skip
    LedSession.objects.create(execution=execution, url="http://127.0.0.1:9000", state=state.to_json())
    return execution


def addresses(market, session):
    agreement = session.purchase.agreement
    return {
        "offers": "/console/market/",
        "offer": f"/console/market/offers/{session.purchase.asset}/",
        "orders": "/console/market/orders/",
        "order": f"/console/market/orders/{agreement}/",
        "session": f"/console/market/sessions/{session.execution}/",
        "money": "/console/market/statement/",
        "others": f"/console/market/statement/?address={market.consumer.name}",
    }


def test_every_page_is_whole_and_safe(market, session):
    root = browser(is_superuser=True)

    for address in addresses(market, session).values():
        answer = root.get(address)
        text = answer.content.decode()
        assert answer.status_code == 200, address
        assert re.search(r'<html lang="en">.*<main.*<h1>', text, re.DOTALL)
        assert HOSTILE not in text
        assert "style=" not in text
        assert not re.search(r"<script(?! src=)|\son[a-z]+=", text)


def test_pages_say_what_happened_and_what_is_awaited(market, session):
    root = browser(is_superuser=True)
    at = addresses(market, session)
    first = market.order(1)
    settling.accept(market.ports, market.consumer, first, now=market.now)
    page = {name: root.get(address).content.decode() for name, address in at.items()}

    assert "&lt;script&gt;" in page["offers"]
    assert "next to data" in page["offers"]
    assert "leads sessions" in page["offers"]
    assert "example/coordinator:v1" in page["offer"]
    assert page["orders"].index(first) < page["orders"].index(session.purchase.agreement)  # the newest first
    assert "the price is in escrow" in page["order"]
    assert "waits for the computation to be granted" in page["order"]
    assert "the receivers have the money" in root.get(f"/console/market/orders/{first}/").content.decode()
    assert "2 of 4 rounds are over" in page["session"]
    assert re.search(r'<th scope="row">1</th><td class="number">2</td><td class="number">1.500</td>', page["session"])
    assert '<progress max="4" value="2"' in page["session"]
    assert "selected" in page["session"]
    assert re.search(r'number out">-12</td>', page["others"])


def test_files_are_on_offer_and_their_orders_speak_of_access(market):
    root = browser(is_superuser=True)
    did = market.priced()
    ordered = market.order(1, did)

    offers, offered, order = (
        root.get(f"/console/market/{address}").content.decode()
        for address in ("", f"offers/{did}/", f"orders/{ordered}/")
    )

    assert re.search(rf"offers/{did}/.*<td>files</td>.*<td>—</td>", offers)
    assert "when the buyer opens the first file" in offered
    assert "What a container may do" not in offered
    assert "waits for access to be granted" in order
    assert "access is to be granted" in order
    assert "computation" not in order


def test_staff_sees_what_is_on_offer_and_nothing_that_is_somebodys(market, session):
    staff = browser("eve", organisation="acme", is_staff=True)
    at = addresses(market, session)

    shown = staff.get(at["offers"]).content.decode()

    assert session.purchase.agreement not in shown
    assert session.execution not in shown
    assert staff.get(at["offer"]).status_code == 200
    assert session.purchase.agreement not in staff.get(at["orders"]).content.decode()
    assert [staff.get(at[name]).status_code for name in ("order", "session", "money", "others")] == [404, 404, 403, 403]


def test_what_is_not_there_is_not_found(market):
    root = browser(is_superuser=True)

    for address in ("offers/nonsense/", f"offers/{market.program}/", f"orders/{'0' * 64}/", "sessions/none/"):
        assert root.get(f"/console/market/{address}").status_code in (400, 404), address


@pytest.mark.parametrize(("value", "text"), [
    (0.12345678901234567, "0.12346"), (1.25e-9, "1.25e-09"), (12345, "12\u202f345"), (True, "True"), ("x", "x")
])  # fmt: skip
def test_numbers_are_short(value, text):
    assert short(value) == text


def test_ids_are_brief():
    assert (brief("short"), brief("0x" + "ab" * 20)) == ("short", "0xababab…ababab")


def test_one_strange_document_hides_no_other_offer(market):
    strange = metadata("dataset", name="Strange")
    strange["attributes"]["additionalInformation"] = ["no", "object"]
    market.publish(OWNER, offer("compute"), strange)
    old = market.publish(OWNER, offer("compute"), metadata("dataset", name="Of before"))
    Asset.objects.filter(did=old.hex).update(document=_wrong(Asset.objects.get(did=old.hex).document))

    page = browser(is_superuser=True).get("/console/market/").content.decode()

    assert ("Strange" in page, "Rows" in page, "Of before" in page) == (True, True, False)


def test_offers_are_shown_while_the_chain_is_away(market, monkeypatch):
    def away(self, *_, **__):
        raise LedgerUnavailable("the chain does not answer")

    monkeypatch.setattr(LocalLedger, "network", away)

    answer = browser(is_superuser=True).get("/console/market/")

    assert answer.status_code == 200
    page = answer.content.decode()
    assert ("Rows" in page, "Orders cannot be shown now: the chain does not answer" in page) == (True, True)


def _wrong(text):
    document = json.loads(text)
    for service in document["service"]:
        service["attributes"]["main"]["timeout"] = "soon"
    return json.dumps(document)
