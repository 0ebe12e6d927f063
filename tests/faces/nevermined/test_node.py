"""The node as its clients know it: from a grant to the file that came of an execution, and each check on the way."""

import json
from contextlib import suppress
from dataclasses import replace

import pytest
from pytest_socket import enable_socket
from tests.markets import DID, container, coordinator, metadata, offer, participant
from tests.node_market import CONSUMER, NODE, OTHER, OWNER, balances
from tests.stub_session import serving

from foedus.core.errors import Forbidden, Unavailable
from foedus.core.market.dids import Did
from foedus.core.market.escrow import TooEarly
from foedus.ports.compute import RunMissing
from foedus.records.market.models import Asset, Execution
from foedus.services.market import outcomes
from foedus.services.market.files import Location, sealed_list
from foedus.services.market.node import node_key

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize("prefix", ["/api/v1/node/services", "/api/v1/gateway/services"])
def test_who_paid_computes_and_gets_the_result(market, prefix):
    agreement = market.order()

    started = market.execute(agreement, market.workflow(), path=f"{prefix}/execute/0x{agreement}")
    execution = started.json()["workflowId"]
    claims = {"sub": agreement, "execution_id": execution, "prefix": prefix}
    before = market.get(f"/compute/status/{agreement}/{execution}", **claims).json()
    market.work()
    after = market.get(f"/compute/status/{agreement}/{execution}", **claims).json()

    assert (before["status"], before["did"], before["pods"]) == ("Pending", None, [])
    assert after["status"] == "Succeeded", after
    assert [pod["status"] for pod in after["pods"]] == ["Succeeded"]
    lines = market.get(f"/compute/logs/{agreement}/{execution}", **claims).json()
    assert [line["content"] for line in lines] == ["counted"]
    file = market.get("/download/0", "download", prefix=prefix, did=after["did"])
    assert b"".join(file.streaming_content) == b"3\n"
    assert file["Content-Disposition"] == "attachment;filename=count.txt"
    assert balances(market) == [988, 10, 2]
    result = Asset.objects.get(did=Did.parse(after["did"]).hex)
    assert result.owner == CONSUMER.address
    assert json.loads(result.document)["service"][0]["attributes"]["main"]["metadata"]["executionId"] == execution


def test_the_other_generation_asks_by_execution_alone(market):
    agreement = market.order()
    execution = market.execute(agreement, market.workflow(), path=f"{NODE}/compute/execute/{agreement}").json()
    execution = execution["workflowId"]
    market.work()
    claims = {"sub": agreement, "execution_id": execution}

    assert market.get(f"/compute/status/{execution}", **claims).json()["workflowStatus"]["status"] == "Succeeded"
    assert len(market.get(f"/compute/logs/{execution}", **claims).json()["logs"]) == 1
    assert market.get("/compute/list", **claims).json() == {"workflows": [execution]}


def test_what_fails_costs_nothing(market):
    agreement = market.order()
    market.execute(agreement, market.workflow(program=market.algorithm("echo no; exit 3")))

    market.work()

    execution = Execution.objects.get()
    assert (execution.state, execution.reason) == ("Failed", "the program ended with status 3")
    assert balances(market) == [1000, 0, 0]
    assert market.execute(agreement, market.workflow()).status_code == 410


def test_a_file_that_cannot_be_had_fails_the_execution_and_gives_the_money_back(market):
    market.ports.blobs.delete("rows")
    market.execute(market.order(), market.workflow())

    market.work()

    assert Execution.objects.get().state == "Failed"
    assert balances(market) == [1000, 0, 0]


def test_an_execution_that_is_stopped_before_it_began_never_runs(market):
    agreement = market.order()
    execution = market.execute(agreement, market.workflow()).json()["workflowId"]
    headers = market.token("compute", sub=agreement, execution_id=execution)

    assert market.client.delete(f"{NODE}/compute/stop/{execution}", headers=headers).status_code == 200
    market.work()

    assert (Execution.objects.get().state, balances(market)) == ("Failed", [1000, 0, 0])


def test_a_participant_publishes_nothing(market):
    market.execute(market.order(), market.workflow(kind="Participant"))

    market.work()

    execution = Execution.objects.get()
    assert (execution.state, execution.output) == ("Succeeded", "")


REACH = """python -c "import os, urllib.request as r
print(os.environ['NEVERMINED_SESSION_ID'])
print(r.urlopen(os.environ['NEVERMINED_COORDINATOR_URL'] + '/a', b'update').read().decode())" """


@pytest.mark.parametrize("name", ["nevermined-compute-1", None])
def test_a_participant_reaches_its_session_with_the_token_it_was_given(market, name):
    enable_socket()
    agreement, workflow = market.order(), market.workflow(kind="Participant", program=market.algorithm(REACH))
    with serving() as (url, asked):
        started = market.execute(
            agreement, workflow, body={"coordinator": {"url": url, "token": "the-token", "id": name}}
        )
        assert "the-token" not in Execution.objects.get().joins
        market.work()

    claims = {"sub": agreement, "execution_id": started.json()["workflowId"]}
    lines = market.get(f"/compute/logs/{claims['execution_id']}", **claims).json()["logs"]
    assert [line["content"] for line in lines] == [name or url.removeprefix("http://"), "fine"]
    assert asked == [("/a", "Bearer the-token", b"update")]
    assert (Execution.objects.get().state, Execution.objects.get().joins) == ("Succeeded", "")


def test_a_session_in_a_private_network_fails_the_execution_and_gives_the_money_back(market):
    enable_socket()  # the address is looked up
    told = {"coordinator": {"url": "http://10.1.2.3:8081", "token": "t"}}
    market.execute(market.order(), market.workflow(kind="Participant"), body=told)

    market.work()

    execution = Execution.objects.get()
    assert (execution.state, "FOEDUS_SESSIONS_ALLOW" in execution.reason) == ("Failed", True)
    assert balances(market) == [1000, 0, 0]


@pytest.mark.parametrize(
    ("kind", "coordinator"),
    [
        ("Filtering", {"url": "http://127.0.0.1:1", "token": "t"}),
        ("Participant", {"url": "http://127.0.0.1:1/path", "token": "t"}),
        ("Participant", {"url": "http://user@127.0.0.1:1", "token": "t"}),
        ("Participant", {"url": "file:///etc/passwd", "token": "t"}),
        ("Participant", {"url": "http://127.0.0.1:1", "token": "t\r\nHost: x"}),
        ("Participant", {"url": "http://127.0.0.1:1"}),
        ("Participant", "http://127.0.0.1:1"),
    ],
)
def test_what_is_no_session_or_not_for_this_workflow_is_refused(market, kind, coordinator):
    answer = market.execute(market.order(), market.workflow(kind=kind), body={"coordinator": coordinator})

    assert (answer.status_code, Execution.objects.count()) == (400, 0), answer.content


def test_a_transformation_that_is_no_program_fails_the_execution(market):
    market.execute(market.order(), market.workflow(program=market.data))

    market.work()

    assert "is no algorithm" in Execution.objects.get().reason
    assert balances(market) == [1000, 0, 0]


def test_what_ends_after_its_window_is_not_handed_out(market):
    agreement = market.order()
    market.execute(agreement, market.workflow())
    market.ports.ledger.abort(bytes.fromhex(agreement), by=node_key(market.ports.secrets).address, now=market.now)

    market.work()

    execution = Execution.objects.get()
    assert (execution.state, execution.output, balances(market)) == ("Failed", "", [1000, 0, 0])


def test_an_offer_that_is_paid_for_on_start_stops_what_it_is_not_paid_for(market):
    priced = offer("compute")
    priced["attributes"]["main"]["releasePolicy"] = "onStart"
    data = market.publish(OWNER, priced, metadata("dataset", name="Dear rows"), files=("rows.csv", "rows"))
    agreement = market.order(did=data)
    market.execute(agreement, market.workflow(data))
    market.ports.ledger.abort(bytes.fromhex(agreement), by=node_key(market.ports.secrets).address, now=market.now)

    market.work()

    assert (Execution.objects.get().state, balances(market)) == ("Failed", [1000, 0, 0])
    with pytest.raises(RunMissing):
        market.ports.compute.find(Execution.objects.get().execution)


def test_what_may_not_be_granted_yet_is_paid_for_later(market):
    class Early:
        def __getattr__(self, name):
            return getattr(market.ports.ledger, name)

        def grant(self, *_, **__):
            raise TooEarly(condition="execCompute", block=1, opens=2)

    market.execute(market.order(), market.workflow())
    execution = Execution.objects.get()
    execution.state = Execution.State.SUCCEEDED

    with pytest.raises(Unavailable):
        outcomes.settle(replace(market.ports, ledger=Early()), execution)
    assert not Execution.objects.get().is_settled
    outcomes.settle(market.ports, execution)

    assert (Execution.objects.get().is_settled, balances(market)) == (True, [988, 10, 2])


def test_nobody_reads_what_the_node_keeps_or_has_by_naming_it(market):
    for url, status in (("foedus:rows", 400), ("file:///rows.csv", 403), ("FILE:///rows.csv", 403)):
        did = market.publish_sealed(CONSUMER, market.encrypted(url))
        answer = market.download(did)
        assert answer.status_code == status, answer.content


def test_nobody_has_a_copied_list_of_files_opened(market):
    sealed = json.loads(Asset.objects.get(did=market.data.hex).document)["service"]
    (sealed,) = (each["attributes"]["encryptedFiles"] for each in sealed if "encryptedFiles" in each["attributes"])

    for copied in (sealed, sealed + "\n"):
        with suppress(Forbidden):
            did = market.publish_sealed(OTHER, copied)
            assert market.download(did, OTHER).status_code == 400
    assert market.download(market.data, OWNER).status_code == 200
    market.publish_sealed(OWNER, sealed)


def test_files_are_placed_where_the_node_says_whatever_they_are_called(market, tmp_path):
    place = tmp_path / "escaped"
    sealed = sealed_list(market.ports, (Location(str(place), "foedus:rows"),))
    program = market.publish_sealed(CONSUMER, sealed, "algorithm", algorithm={"entrypoint": "true"})
    market.execute(market.order(), market.workflow(program=program))

    market.work()

    assert not place.exists()
    assert "cannot be the name of a file" in Execution.objects.get().reason


class TestChecks:
    """In the order in which they are made: each row gets past all before it."""

    def test_a_token_is_needed(self, market):
        agreement = market.order()
        for headers in ({}, {"Authorization": "Bearer x"}, {"Authorization": "Basic x"}):
            answer = market.client.post(f"{NODE}/execute/{agreement}", headers=headers)
            assert (answer.status_code, answer.json()["error"]) == (401, "invalid_token")

    @pytest.mark.parametrize("what", ["nothing", "an algorithm", "a coordinator", "other data", "two stages"])
    def test_the_workflow_must_fit_what_was_bought(self, market, what):
        wanted = {
            "nothing": lambda: DID,
            "an algorithm": lambda: market.program,
            "a coordinator": lambda: market.publish(CONSUMER, coordinator()),
            "other data": lambda: market.workflow(market.data, market.program),
            "two stages": lambda: market.publish(CONSUMER, two_stages()),
        }[what]()
        answer = market.execute(market.order(), wanted)
        assert (answer.status_code, answer.json()["error"]) == (400, "invalid"), answer.content

    @pytest.mark.parametrize(
        "requirements",
        [
            {"container": container(checksum="sha256:" + "0" * 64)},
            {"container": container(image="other/image", checksum="")},
            {"cpu": "3"},
            {"memory": "5gb"},
            {"memory": "much"},
        ],
    )
    def test_container_and_server_must_be_on_offer(self, market, requirements):
        answer = market.execute(market.order(), market.workflow(requirements=requirements))
        assert answer.status_code == 400, answer.content

    def test_one_execution_at_a_time(self, market):
        agreement, workflow = market.order(), market.workflow()
        assert market.execute(agreement, workflow).status_code == 200
        assert market.execute(agreement, workflow).status_code == 409


def two_stages():
    about = participant()
    stages = about["attributes"]["main"]["workflow"]["stages"]
    stages.append({**stages[0], "index": 1})
    return about


def test_what_others_run_is_nobodys_business(market):
    agreement = market.order()
    execution = market.execute(agreement, market.workflow()).json()["workflowId"]
    headers = market.token("compute", OTHER, sub=agreement, execution_id=execution)

    assert market.client.get(f"{NODE}/compute/list", headers=headers).json() == {"workflows": []}
    for path in (f"/compute/status/{execution}", f"/compute/logs/{agreement}/{execution}"):
        assert market.client.get(NODE + path, headers=headers).status_code == 404
    assert market.client.delete(f"{NODE}/compute/stop/{execution}", headers=headers).status_code == 404
    headers = market.token("download", OTHER, did=str(market.data))
    assert market.client.get(f"{NODE}/download/0", headers=headers).status_code == 403


def test_only_this_node_reads_what_it_encrypted(market):
    fields = {"message": '[{"url": "http://data.example/rows.csv"}]', "method": "PSK-RSA"}

    answer = market.client.post(f"{NODE}/encrypt", fields).json()

    assert answer["method"] == "PSK-RSA"
    assert answer["public-key"].startswith("0x04")
    assert "data.example" not in answer["hash"]
    for wrong in ({"message": "x"}, {"method": "PSK-RSA"}, {"message": "x", "method": "ROT13"}):
        assert market.client.post(f"{NODE}/encrypt", wrong).status_code == 400
