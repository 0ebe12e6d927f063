"""Sessions over their protocol: bought, led, published and paid for; participants are threads that speak it."""

import json
import socket
import struct
import threading
import time
from contextlib import closing
from dataclasses import replace
from datetime import timedelta
from unittest.mock import Mock

import httpx
import numpy as np
import pytest
from pytest_socket import enable_socket
from tests.markets import coordinator, metadata, offer
from tests.node_market import CONSUMER, NODE, OWNER, balances

from foedus.core.arrays import Arrays
from foedus.core.codecs import npy
from foedus.core.errors import NotFound, PlatformError
from foedus.core.market.dids import Did
from foedus.core.market.leading import Leader, Phase
from foedus.faces.nevermined.sessions import listening
from foedus.ports.compute import Job, Session
from foedus.ports.secrets import Secret
from foedus.records.market.models import Asset, Execution, LedSession, Purchase
from foedus.services.market import conductor, settling
from foedus.services.market.absence import gone_of
from foedus.services.market.conductor import Conductor
from foedus.services.market.deciding import SessionLost
from foedus.services.market.leading import session_of
from foedus.services.market.parties import party_of
from foedus.services.market.session_tokens import token_for

pytestmark = pytest.mark.django_db
PATIENCE_S = 20.0


@pytest.fixture(autouse=True)
def _sockets():
    enable_socket()  # participants of sessions come over the network: here that of this machine


class Participant(threading.Thread):
    """Adds ``step`` to every weight and reports as many samples, as a program around the kit of that time would."""

    def __init__(self, url, token, step, *, twice=False):
        super().__init__(daemon=True)
        self.http = httpx.Client(base_url=url, headers={"Authorization": f"Bearer {token}"}, timeout=10)
        self.step, self.twice, self.said, self.error = step, twice, [], None
        self.start()

    def run(self):
        try:
            self.take_part()
        except Exception as exc:  # noqa: BLE001 - the test asks for it
            self.error = exc
        finally:
            self.http.close()

    def take_part(self):
        self.reach()
        self.id = self.get("/rendez_vous")["id"]
        while (told := self.get(f"/heartbeat/{self.id}"))["state"] not in ("finish", "reject"):
            if told["state"] == "round":
                self.train()
            time.sleep(0.01)
        self.said.append(told["state"])

    def train(self):
        begun = self.get(f"/start_training/{self.id}")
        assert begun["ok"]
        assert begun["url"].rstrip("/") == str(self.http.base_url).rstrip("/")
        path = f"/{self.id}/{begun['token']}"
        weights = self.http.get(path).content
        body = result(np.zeros(2), 0) if not weights else result(load(weights) + self.step, self.step)
        for _ in range(1 + self.twice):
            answer = self.http.post(path, content=body)
            assert answer.status_code == 200
            self.said.append(answer.json()["result"].partition(":")[0])

    def reach(self):
        until = time.monotonic() + PATIENCE_S
        while time.monotonic() < until:
            try:
                return self.http.get("/status")
            except httpx.ConnectError:
                time.sleep(0.02)
        raise TimeoutError

    def get(self, path):
        answer = self.http.get(path)
        assert answer.status_code == 200, answer.text
        return answer.json()


def load(body):
    return npy.decode(body)["weights"]


def result(weights, samples):
    return struct.pack(">I", samples) + npy.encode(Arrays({"weights": weights}))


def free_port():
    with closing(socket.create_server(("127.0.0.1", 0))) as found:
        return found.getsockname()[1]


class Slow(Participant):
    """Fetches and hands in once more what it did a round ago, as a program that was told so late."""

    def train(self):
        if hasattr(self, "before"):
            assert self.http.get(self.before).status_code == 200
            answer = self.http.post(self.before, content=result(np.zeros(2), 100))
            assert answer.status_code == 200
            self.said.append(answer.json()["result"].partition(":")[0])
        self.before = f"/{self.id}/{self.get(f'/start_training/{self.id}')['token']}"
        super().train()


class Led:
    """A session that was bought, and its participants' tokens. ``work`` leads it, until it is over."""

    def __init__(self, market, **parameters):
        self.market, self.port = market, free_port()
        sold = offer("fl-coordinator")
        sold["attributes"]["main"]["provider"]["environment"]["incomingPorts"] = [self.port]
        self.offer = market.publish(OWNER, sold, metadata("compute", name="A place to lead sessions"))
        wanted = {"rounds": 4, "participantsRatio": 1.0, "heartbeatTimeout": 20, **parameters}
        self.workflow = market.publish(CONSUMER, coordinator(**wanted))
        self.agreement = market.order(9, did=self.offer)
        self.execution = market.execute(self.agreement, self.workflow).json()["workflowId"]
        self.url = f"http://127.0.0.1:{self.port}"

    def status(self, *participants):
        query = "?" + "&".join(f"participant={each}" for each in participants)
        claims = {"sub": self.agreement, "execution_id": self.execution}
        return self.market.get(f"/compute/status/{self.agreement}/{self.execution}{query}", **claims).json()

    def token(self, name):
        agreement = name * 64
        return self.status(agreement)["coordinator"]["tokens"][agreement]

    def participant(self, name, step, **more):
        return Participant(self.url, self.token(name), step, **more)

    def work(self, *participants):
        self.market.work()
        for each in participants:
            each.join(PATIENCE_S)
            assert each.error is None, each.error


def test_who_wants_it_reads_in_the_document_where_the_session_is_and_how_it_ended(market):
    led = Led(market, minParticipants=1, rounds=1, publishSession=True)

    led.work(led.participant("1", 1))

    documents = Asset.objects.get(did=led.workflow.hex).versions.order_by("number").values_list("document", flat=True)
    said = [json.loads(each)["service"][0]["attributes"] for each in documents]
    begun, ended = (each["additionalInformation"]["session"] for each in said[1:])
    assert (begun["url"], begun["state"], begun["rounds"], begun["id"]) == (led.url, "standby", 1, led.execution)
    assert (ended["state"], "tokens" in begun) == ("finished", False)
    assert said[0]["main"] == said[2]["main"]


def test_a_document_in_which_nothing_can_be_said_holds_no_session_up(market):
    led = Led(market, minParticipants=1, rounds=1, publishSession=True)
    asset = Asset.objects.get(did=led.workflow.hex)
    document = json.loads(asset.document)
    document["service"][0]["attributes"]["additionalInformation"] = "a text"
    Asset.objects.filter(pk=asset.pk).update(document=json.dumps(document))

    led.work(led.participant("1", 1))

    assert Execution.objects.get().state == "Succeeded"
    assert Asset.objects.get(pk=asset.pk).version == 1


def test_two_participants_train_and_the_model_is_who_paid_for_it(market):
    led = Led(market, minParticipants=2)
    before = led.status()["coordinator"]

    one, three = led.participant("1", 1), led.participant("3", 3, twice=True)
    led.work(one, three)

    after = led.status()
    assert (before["state"], before["url"], before["rounds"], before["required"]) == ("starting", None, 4, 2)
    assert (after["status"], after["reason"], after["coordinator"]["state"]) == ("Succeeded", "", "finished")
    assert one.said == ["counted"] * 4 + ["finish"]
    assert three.said == ["counted", "not counted"] * 4 + ["finish"]
    assert balances(market) == [988, 10, 2]
    asset = Asset.objects.get(did=Did.parse(after["did"]).hex)
    about = json.loads(asset.document)["service"][0]["attributes"]
    assert (asset.owner, about["additionalInformation"]["type"]) == (CONSUMER.address, "model")
    assert about["additionalInformation"]["wasDerivedFrom"] == [str(led.workflow)]
    files = [market.get(f"/download/{i}", "download", did=after["did"]) for i in range(2)]
    model, told = (b"".join(file.streaming_content) for file in files)
    np.testing.assert_array_equal(load(model), [7.5, 7.5])  # three trainings of (1*1 + 3*3) / 4
    assert json.loads(told)["samples"] == [{"1" * 64: 0, "3" * 64: 0}] + [{"1" * 64: 1, "3" * 64: 3}] * 3
    left = [blob.key.rpartition("/")[0].split("/")[-1] for blob in market.ports.blobs.list(f"market/{led.execution}/")]
    assert "results" not in left
    assert left.count("weights") == 1


def test_who_comes_with_a_token_of_the_round_before_is_not_sent_away_and_does_not_count(market):
    led = Led(market, minParticipants=1)

    slow = Slow(led.url, led.token("1"), 1)
    led.work(slow)

    assert slow.said == ["counted", *["not counted", "counted"] * 3, "finish"]
    files = led.market.get("/download/0", "download", did=led.status()["did"])
    np.testing.assert_array_equal(load(b"".join(files.streaming_content)), [3.0, 3.0])


def test_a_session_that_takes_too_long_costs_nothing(market):
    led = Led(market, minParticipants=2, sessionTimeout=0.3)

    led.work()

    execution = Execution.objects.get()
    assert (execution.state, execution.reason) == ("Failed", "the session took longer than 0.3 s")
    assert balances(market) == [1000, 0, 0]


def test_a_session_ends_when_nobody_whom_it_names_can_come_any_more(market, monkeypatch):
    monkeypatch.setattr(conductor, "_ASK_EVERY_S", 0.0)
    named = [market.order(seed) for seed in (1, 2)]
    Led(market, minParticipants=1, allowedAgreements=named)
    execution = Execution.objects.get()
    rules = Leader(session_of(execution), 60.0, 1)
    row = LedSession.objects.create(execution=execution, holder="me", state=rules.begin(time.time()).to_json())
    provider = party_of(OWNER.address, now=market.now)

    settling.give_up(market.ports, provider, named[0], now=market.now)
    one = gone_of(market.ports, [*named, "ab" * 32], 2)
    settling.give_up(market.ports, provider, named[1], now=market.now)
    both = gone_of(market.ports, named, 1)
    around = conductor.Around(gone=lambda agreements, _: both & set(agreements))
    state = Conductor(market.ports, rules, row, clock=time.time, max_bytes=1, around=around).run(lambda: False)

    assert (one, both) == ({named[0]}, set(named))
    assert (state.phase, state.reason) == (
        Phase.FAILED,
        "1 participant needed, and none can come: what the others bought is over",
    )


def test_no_more_agreements_are_asked_for_than_decide():
    asked = []

    def unknown(agreement, *, now):
        asked.append(agreement)
        raise NotFound

    gone = gone_of(Mock(ledger=Mock(get=unknown)), [f"{n:064x}" for n in range(9)], 2)

    assert (gone, len(asked)) == (frozenset(), 2)


def test_who_is_gone_is_asked_more_rarely_where_nothing_changes(market):
    Led(market, minParticipants=1, allowedAgreements=["1" * 64])
    execution = Execution.objects.get()
    rules = Leader(session_of(execution), 600.0, 1)
    row = LedSession.objects.create(execution=execution, holder="me", state=rules.begin(0.0).to_json())
    now, asked = [0.0], []
    around = conductor.Around(gone=lambda agreements, _: asked.append(now[0]) or ())
    led = Conductor(market.ports, rules, row, clock=lambda: now[0], max_bytes=1, around=around)

    def pass_a_second():
        now[0] += 1.0
        led._look_who_is_gone()
        if led._asking is not None:
            led._asking.join()
            led._decisions.take(0.0)

    for _ in range(200):
        pass_a_second()

    assert asked == [5.0, 10.0, 20.0, 40.0, 80.0, 140.0, 200.0]


def test_whose_run_began_in_time_can_come_after_its_window(market):
    named = market.order(1)
    purchase = Purchase.objects.get(agreement=named)
    run = Execution.objects.create(execution="a-run", purchase=purchase, state="Running", created_at=market.now)
    later = Mock(get=lambda agreement, now: market.ports.ledger.get(agreement, now=now + timedelta(days=3650)))
    ports = replace(market.ports, ledger=later)

    going_on = gone_of(ports, [named], 1)
    run.finished_at = market.now
    run.save()

    assert (going_on, gone_of(ports, [named], 1)) == (set(), {named})


def test_a_session_that_is_stopped_has_failed_and_costs_nothing(market):
    led = Led(market)
    rules = Leader(session_of(Execution.objects.get()), 60.0, 1)
    LedSession.objects.create(execution=Execution.objects.get(), state=rules.begin(time.time()).to_json())
    Execution.objects.update(state="Running", started_at=market.now)
    headers = market.token("compute", sub=led.agreement, execution_id=led.execution)

    answer = market.client.delete(f"{NODE}/compute/stop/{led.execution}", headers=headers)
    market.work()

    execution = Execution.objects.get()
    assert (answer.status_code, execution.state, execution.reason) == (200, "Failed", "it was stopped")
    assert led.status()["coordinator"]["state"] == "failed"
    assert balances(market) == [1000, 0, 0]


def test_a_session_names_who_may_take_part(market):
    led = Led(market, allowedAgreements=["1" * 64])
    claims = {"sub": led.agreement, "execution_id": led.execution}

    refused = market.get(f"/compute/status/{led.agreement}/{led.execution}?participant={'2' * 64}", **claims)

    assert refused.status_code == 403
    assert list(led.status()["coordinator"]["tokens"]) == ["1" * 64]


@pytest.mark.parametrize("what", ["data", "a program", "another place"])
def test_what_is_led_has_neither_data_nor_program_and_a_place_for_it(market, what):
    about = coordinator()
    stage = about["attributes"]["main"]["workflow"]["stages"][0]
    stage |= {"data": {"input": [{"index": 0, "id": str(market.data)}]}, "a program": {"transformation": {
        "id": str(market.program)}}}.get(what, {})  # fmt: skip
    wanted = market.publish(CONSUMER, about)
    led = Led(market)
    agreement = market.order(3) if what == "another place" else market.order(3, did=led.offer)

    assert market.execute(agreement, wanted).status_code == 400


class Conducted:
    """A session that is led in this thread while ``script`` speaks to it in another, over HTTP."""

    def __init__(self, market, *, is_open=False, max_bytes=10_000, **parameters):
        self.market, self.is_open, self.max_bytes = market, is_open, max_bytes
        self.led = Led(market, **parameters)
        execution = Execution.objects.get()
        self.rules = Leader(session_of(execution), 60.0, 1)
        self.row = LedSession.objects.create(
            execution=execution, holder="me", state=self.rules.begin(time.time()).to_json()
        )
        self.token = self.led.token("1")

    def conduct(self, script):
        """The state when ``script`` ended, which stops the session; what ``script`` gave."""
        given, states = [], []
        thread = threading.Thread(target=lambda: given.append(script(http)))

        def clock():  # with the script everybody falls silent, so that nobody has to be waited for
            return time.time() + (0 if thread.is_alive() or not states else 1000)

        conductor = Conductor(
            self.market.ports, self.rules, LedSession.objects.get(), clock=clock, max_bytes=self.max_bytes
        )
        with listening(conductor, [0], host="127.0.0.1", is_open=self.is_open) as port:
            headers = {"Authorization": f"Bearer {self.token}"}
            http = httpx.Client(base_url=f"http://127.0.0.1:{port}", headers=headers, timeout=10)
            thread.start()

            def is_stopped():
                states.append(conductor.state)
                return not thread.is_alive()

            states.append(conductor.run(is_stopped))
            thread.join()
            http.close()
        lasting = [state for state in states if state.reason != "it was stopped"]
        return lasting[-1], given[0]


def begun(http):
    """A member's id, and where it fetches and hands in weights once it was told to train."""
    name = http.get("/rendez_vous").json()["id"]
    told = http.get(f"/start_training/{name}").json()
    return name, f"/{name}/{told['token']}"


def test_who_has_no_token_of_this_session_takes_no_part(market):
    session = Conducted(market, minParticipants=1, rounds=2)
    elsewhere = token_for(market.ports, "nevermined-compute-other", session.rules.session, "1" * 64)
    forged = "2" * 64 + session.token[64:]
    other = session.led.token("2")

    def script(http):
        name, path = begun(http)
        shown = ("", "Bearer x", f"Basic {session.token}", f"Bearer {elsewhere}", f"Bearer {forged}")
        said = [http.get("/rendez_vous", headers={"Authorization": each}).status_code for each in shown]
        as_other = {"Authorization": f"Bearer {other}"}
        return [
            *said,
            http.get(path, headers=as_other).status_code,
            http.post(path, content=result(np.zeros(2), 1), headers=as_other).status_code,
            http.get(f"/{name}/{'0' * 32}").status_code,
            http.get(f"/heartbeat/{name}", headers=as_other).json()["state"],
            http.get(f"/start_training/{name}", headers=as_other).json()["ok"],
            http.get("/heartbeat/None").json()["state"],  # as the kit does that was given no id
            http.delete("/status").status_code,
        ]

    state, said = session.conduct(script)

    assert said == [401, 401, 401, 401, 401, 404, 404, 404, "reject", False, "reject", 405]
    assert (len(state.members), state.results) == (1, ())


def test_browsers_may_ask_before_they_say_anything(market):
    session = Conducted(market, minParticipants=1, rounds=2)

    _, answer = session.conduct(lambda http: http.options("/rendez_vous"))

    assert (answer.status_code, answer.content) == (204, b"")
    said = [answer.headers[f"Access-Control-Allow-{what}"] for what in ("Origin", "Methods", "Headers")]
    assert said == ["*", "GET, POST, OPTIONS", "Authorization, Content-Type"]


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\0\0\0\1",
        struct.pack(">I", 1) + b"\x80\x04K\x01.",  # a pickle
        result(np.array([1.0, np.nan]), 1),
        result(np.zeros(2), 1)[:-1],
        struct.pack(">I", 1)
        + b"\x93NUMPY\1\0\x46\0"
        + b"{'descr': '|O', 'fortran_order': False, 'shape': (1,)}".ljust(70),
    ],
)
def test_a_bad_result_stops_nobody_and_counts_for_nothing(market, body):
    session = Conducted(market, minParticipants=1)

    state, (status, said, told) = session.conduct(
        lambda http: [
            (answer := http.post((at := begun(http))[1], content=body)).status_code,
            answer.json()["result"].partition(":")[0],
            http.get(f"/heartbeat/{at[0]}").json()["state"],
        ]
    )

    assert (status, said, told) == (200, "ignored", "stand_by")
    assert (state.ignored, state.results) == (1, ())
    assert not list(market.ports.blobs.list(f"market/{session.led.execution}/"))


def test_results_of_other_shapes_than_the_first_are_ignored_and_large_ones_refused(market):
    session = Conducted(market, minParticipants=2, is_open=True, max_bytes=1000)

    def script(http):
        http.headers.pop("Authorization")
        (first, _), (second, two) = begun(http), begun(http)
        one = f"/{first}/{http.get(f'/start_training/{first}').json()['token']}"
        said = [http.post(at, content=result(np.zeros(n), 1)).json()["result"] for at, n in ((one, 2), (two, 3))]
        large = http.post(one, content=bytes(1001)).status_code
        endless = http.post(one, content=iter([b"x"])).status_code
        return [*said, large, endless, second]

    _, (good, bad, large, endless, _) = session.conduct(script)

    assert (good, bad) == ("counted", "ignored: the weights are float64[3], and float64[2] are wanted")
    assert (large, endless) == (413, 400)


def test_a_node_that_comes_back_goes_on_with_the_same_round(market):
    session = Conducted(market, minParticipants=2, is_open=True, rounds=1)
    ids = {}

    def before(http):
        http.headers.pop("Authorization")
        ids["a"], ids["b"] = (http.get("/rendez_vous").json()["id"] for _ in "ab")
        ids["paths"] = [f"/{ids[k]}/{http.get(f'/start_training/{ids[k]}').json()['token']}" for k in "ab"]
        return http.post(ids["paths"][0], content=result(np.array([1.0]), 1)).json()["result"]

    state, said = session.conduct(before)
    assert (said, state.phase, len(state.results)) == ("counted", Phase.ROUND, 1)
    LedSession.objects.update(state=state.to_json())  # killed, not stopped: the row says what it said then

    def after(http):
        http.headers.pop("Authorization")
        again = http.post(ids["paths"][0], content=result(np.array([9.0]), 1)).json()["result"]
        last = http.post(ids["paths"][1], content=result(np.array([3.0]), 1)).json()["result"]
        while http.get("/status").json()["state"] != "finished":
            time.sleep(0.01)
        return [again.partition(":")[0], last, *(http.get(f"/heartbeat/{ids[k]}").json()["state"] for k in "ab")]

    state, said = session.conduct(after)

    assert said == ["not counted", "counted", "finish", "finish"]
    np.testing.assert_array_equal(load(b"".join(market.ports.blobs.read(state.weights))), [2.0])


def test_who_lost_a_session_to_another_process_leads_it_no_more(market):
    session = Conducted(market, minParticipants=1)
    conductor = Conductor(market.ports, session.rules, LedSession.objects.get(), clock=time.time, max_bytes=1)
    LedSession.objects.update(holder="somebody else")
    errors = []

    def join():
        try:
            conductor.join("1" * 64)
        except PlatformError as exc:
            errors.append(type(exc))

    thread = threading.Thread(target=join)
    thread.start()
    with pytest.raises(SessionLost):
        conductor.run(lambda: False)
    thread.join()

    assert errors == [SessionLost]


def test_an_open_session_that_names_its_participants_is_not_open(market):
    session = Conducted(market, minParticipants=1, is_open=True, allowedAgreements=["1" * 64])

    _, said = session.conduct(lambda http: http.get("/rendez_vous", headers={"Authorization": ""}).status_code)

    assert said == 401


BEHIND_A_DOOR = """python -c "import json, os, urllib.request as r
here = os.environ['NEVERMINED_COORDINATOR_URL']
name = json.load(r.urlopen(here + '/rendez_vous'))['id']
told = json.load(r.urlopen(here + '/start_training/' + name))
assert told['url'] == here + '/', told
print(r.urlopen(told['url'] + name + '/' + told['token']).read())" """


def test_a_program_behind_a_door_stays_behind_it(market):
    session = Conducted(market, minParticipants=1)
    compute = market.ports.compute

    def script(http):
        compute.start(Job(id="a-run", script=BEHIND_A_DOOR, session=Session(str(http.base_url), Secret(session.token))))
        compute.wait("a-run", PATIENCE_S)
        return list(compute.log("a-run"))

    state, said = session.conduct(script)

    assert said == ["b''"]
    assert [member.agreement for member in state.members] == ["1" * 64]
