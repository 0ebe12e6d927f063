"""A client of the market, against answers that are played here."""

import json
from datetime import UTC, datetime

import httpx
import pytest
from tests.markets import DID, metadata, offer, signed

from foedus.core.errors import Conflict, Invalid, PlatformError, Unauthenticated, Unavailable
from foedus.sdk.market import Container, Key, Market, NewOffer, Run
from foedus.wallet.grants import read_grant
from foedus.wallet.offering import write_offer

KEY = Key(b"\1" * 32)
AGREEMENT = "ab" * 32
RUN = Run(agreement=AGREEMENT, id="run-1")


class Server:
    """Answers by the end of a path; what was asked."""

    def __init__(self, **answers):
        self.answers = {
            "login": {"access_token": "login"},
            "token": {"access_token": "t", "expires_in": 3600},
            **answers,
        }
        self.asked = []

    def __call__(self, request):
        self.asked.append(request)
        answer = self.answers[request.url.path.rstrip("/").rpartition("/")[2]]
        found = (
            answer.pop(0) if isinstance(answer, list) and answer and isinstance(answer[0], httpx.Response) else answer
        )
        return found if isinstance(found, httpx.Response) else httpx.Response(200, json=found)

    def market(self, key=KEY):
        return Market("http://127.0.0.1:1", key, transport=httpx.MockTransport(self))


def published(*names):
    about = metadata("dataset", files=[{"index": i, "name": name} for i, name in enumerate(names)])
    return signed(KEY, about)


def test_one_login_serves_many_calls():
    server = Server(agreements=[])
    market = server.market()

    market.agreements()
    market.agreements()

    assert [request.url.path.rpartition("/")[2] for request in server.asked] == ["login", "agreements", "agreements"]
    assert server.asked[-1].headers["Authorization"] == "Bearer login"


def test_a_call_of_the_node_signs_for_what_it_is_about():
    server = Server(**{AGREEMENT: {"workflowId": "run-1"}})

    assert str(server.market().run(AGREEMENT, DID)) == f"{AGREEMENT}/run-1"

    form = dict(pair.split("=") for pair in server.asked[0].content.decode().split("&"))
    grant = read_grant(form["assertion"], now=datetime.now(UTC).timestamp())
    assert (grant.issuer, grant.subject, grant.did) == (KEY.address, AGREEMENT, DID)
    assert grant.audience == "http://127.0.0.1:1/api/v1/node/services/execute", "another node cannot show it"


def test_without_a_key_nothing_is_somebodys():
    with pytest.raises(Invalid, match="takes a key"):
        Server().market(None).agreements()


def test_an_order_that_got_no_answer_names_its_seed():
    def cut(request):
        if request.url.path.endswith("agreements"):
            raise httpx.ReadError("cut")
        return httpx.Response(200, json={"access_token": "login"})

    with pytest.raises(Unavailable) as caught:
        Market("http://127.0.0.1:1", KEY, transport=httpx.MockTransport(cut)).order(DID, seed="12" * 32)

    assert caught.value.context["seed"] == "12" * 32


@pytest.mark.parametrize("answer", [{"status_code": 200, "text": "<html>"}, {"status_code": 429}])
def test_an_order_names_its_seed_whatever_is_wrong_with_the_answer(answer):
    def answered(request):
        if request.url.path.endswith("agreements"):
            return httpx.Response(**answer)
        return httpx.Response(200, json={"access_token": "login"})

    with pytest.raises(PlatformError) as caught:
        Market("http://127.0.0.1:1", KEY, transport=httpx.MockTransport(answered)).order(DID)

    assert len(caught.value.context["seed"]) == 64


@pytest.mark.parametrize(("status", "kind"), [(401, Unauthenticated), (402, Conflict), (410, Conflict), (400, Invalid)])
def test_a_refusal_is_told_in_the_servers_words(status, kind):
    refused = httpx.Response(status, json={"error": "unpaid", "error_description": "its price is not in escrow"})

    with pytest.raises(kind, match="not in escrow"):
        Server(**{AGREEMENT: refused}).market().run(AGREEMENT, DID)


def test_files_are_saved_whole_and_never_over_others(tmp_path):
    server = Server(**{DID: json.loads(published("a.txt", "b.txt").raw), "0": httpx.Response(200, content=b"A"),
                       "1": httpx.Response(200, content=b"B")})  # fmt: skip
    market = server.market()

    saved = market.fetch(DID, tmp_path / "found")

    assert [(path.name, path.read_bytes()) for path in saved] == [("a.txt", b"A"), ("b.txt", b"B")]
    with pytest.raises(Conflict, match="is there already"):
        market.fetch(DID, tmp_path / "found")


@pytest.mark.parametrize("name", ["../up", "a/b", "..", "a\\b", "x" * 201])
def test_a_file_stays_in_its_folder_whatever_it_is_called(name, tmp_path):
    with pytest.raises(Invalid, match="no name for a file"):
        Server(**{DID: json.loads(published(name).raw)}).market().fetch(DID, tmp_path)

    assert list(tmp_path.iterdir()) == []


def test_a_download_that_breaks_off_leaves_nothing(tmp_path):
    def pieces():
        yield b"half"
        raise httpx.ReadError("cut")

    server = Server(**{DID: json.loads(published("a.txt").raw), "0": httpx.Response(200, content=pieces())})

    with pytest.raises(Unavailable):
        server.market().fetch(DID, tmp_path)

    assert list(tmp_path.iterdir()) == []


def test_offers_that_make_no_sense_are_left_out():
    good = json.loads(signed(KEY, offer("compute"), metadata("dataset", name="Good")).raw)
    bad = json.loads(json.dumps(good).replace('"2"', '"two"'))

    found = Server(query={"results": [bad, good]}).market(None).search("good")

    assert [(each.name, each.price) for each in found] == [("Good", 12)]


def test_a_run_is_waited_for_until_what_is_wanted():
    states = [{"status": "Pending"}, {"status": "Running", "coordinator": {"state": "round", "round": 2, "tokens": {}}}]
    server = Server(**{"run-1": [httpx.Response(200, json=each) for each in states]})

    seen = server.market().wait(RUN, until=lambda run: run.coordinator is not None)

    assert (seen.status, seen.coordinator.round) == ("Running", 2)


def test_a_run_says_what_its_program_could_reach():
    server = Server(**{"run-1": {"status": "Succeeded", "open_to": ["the network of this machine"]}})

    assert server.market().look(RUN).open_to == ("the network of this machine",)


def test_waiting_ends():
    server = Server(**{"run-1": {"status": "Pending", "reason": "waits for a worker"}})

    with pytest.raises(Unavailable, match="still Pending after 0 s: waits for a worker"):
        server.market().wait(RUN, timeout_s=0)


def test_what_an_offer_grants_is_in_its_document():
    wanted = NewOffer(
        name="A place", shares=[(KEY.address, 3)], node="http://n", kind="fl-coordinator", description="Quiet", cpu="2",
        memory="4gb", executions=2, public_host="lead.example", ports=(9000, 9009),
        containers=[Container("example/lead", "v1", "sha256:" + "1" * 64)],
    )  # fmt: skip

    document = write_offer(wanted, KEY, now=datetime(2026, 1, 1, tzinfo=UTC))

    (found,) = Server(query={"results": [json.loads(document.raw)]}).market(None).search()
    assert (found.name, found.description, found.kind, found.price) == ("A place", "Quiet", "fl-coordinator", 3)
    environment = document.services[1].main["provider"]["environment"]
    assert (environment["publicHost"], environment["incomingPorts"]) == ("lead.example", [9000, 9009])
    assert found.containers == ("example/lead:v1@sha256:" + "1" * 64,)
    assert environment["supportedServers"][0]["memory"] == "4gb"
