from datetime import timedelta

import jwt
import pytest

from foedus.core.market.dids import Did
from foedus.services.market.tickets import BadTicket, IncompleteGrant, Purpose, WrongTicket, exchange, read_ticket
from foedus.wallet.grants import BadGrant, write_grant
from foedus.wallet.keys import Key

pytestmark = pytest.mark.django_db
CONSUMER, AGREEMENT, DID = Key(b"\1" * 32), "ab" * 32, "did:nv:" + "cd" * 32
HERE = ("node.example", "localhost:8030")
EXECUTE = "/api/v1/node/services/execute"


@pytest.fixture
def ticket(ports, clock):
    def call(**claims):
        wanted = {"aud": EXECUTE, "sub": "0x" + AGREEMENT, "did": DID, **claims}
        grant = write_grant(CONSUMER, wanted, now=clock().timestamp())
        return exchange(ports, grant, is_here=lambda host: host in HERE, now=clock())

    return call


@pytest.mark.parametrize("before", ["", "https://node.example", "http://localhost:8030"])
@pytest.mark.parametrize("prefix", ["/api/v1/node/services", "/api/v1/gateway/services"])
@pytest.mark.parametrize("purpose", list(Purpose))
def test_a_ticket_says_what_its_grant_said(ports, clock, ticket, before, prefix, purpose):
    text, seconds = ticket(aud=f"{before}{prefix}/{purpose}", execution_id="x-1")

    found = read_ticket(ports, text, purpose, now=clock())

    assert (found.party.name, found.purpose, found.agreement) == (CONSUMER.address, purpose, AGREEMENT)
    assert (found.did, found.execution, seconds) == (Did.parse(DID), "x-1", 3600)


@pytest.mark.parametrize(
    "claims",
    [
        {"aud": ""},
        {"aud": "/api/v1/metadata/execute"},
        {"aud": "/api/v1/node/services/"},
        {"aud": "/api/v1/node/services/executes"},
        {"aud": "/api/v1/node/services/execute/more"},
        {"sub": ""},
        {"sub": "0x12"},
        {"did": "", "aud": "/api/v1/node/services/download"},
        {"did": "no did"},
        {"execution_id": "x" * 101},
    ],
)
def test_a_grant_for_nothing_in_particular_gets_none(ticket, claims):
    with pytest.raises(IncompleteGrant):
        ticket(**claims)


@pytest.mark.parametrize(
    "before", ["https://other.example", "http://localhost:8031", "node.example", "http://node.example@other.example",
               "http://[", "other.example/http://node.example"],
)  # fmt: skip
def test_a_grant_for_another_node_is_none_here(ticket, before):
    with pytest.raises(BadGrant, match="not this node"):
        ticket(aud=before + EXECUTE)


def test_it_holds_for_an_hour_and_no_longer_than_its_grant(ports, clock, ticket):
    text, seconds = ticket(exp=int(clock().timestamp()) + 100)
    clock.passes(99)
    read_ticket(ports, text, Purpose.EXECUTE, now=clock())

    with pytest.raises(BadTicket):
        read_ticket(ports, text, Purpose.EXECUTE, now=clock() + timedelta(seconds=2))

    assert seconds == 100


def test_it_holds_for_one_purpose_one_agreement_and_one_execution(ports, clock, ticket):
    found = read_ticket(ports, ticket(execution_id="x-1")[0], Purpose.EXECUTE, now=clock())
    found.check_for("0x" + AGREEMENT, "x-1")

    with pytest.raises(WrongTicket):
        read_ticket(ports, ticket()[0], Purpose.COMPUTE, Purpose.ACCESS, now=clock())
    with pytest.raises(WrongTicket):
        found.check_for("12" * 32)
    with pytest.raises(WrongTicket):
        found.check_for(AGREEMENT, "x-2")


def test_what_another_key_made_is_no_ticket(ports, clock, ticket):
    claims = jwt.decode(ticket()[0], options={"verify_signature": False})
    for forged in (jwt.encode(claims, "k" * 64, "HS256"), jwt.encode(claims, "", "none"), ticket()[0][:-2], "x" * 5000):
        with pytest.raises(BadTicket):
            read_ticket(ports, forged, Purpose.EXECUTE, now=clock())
