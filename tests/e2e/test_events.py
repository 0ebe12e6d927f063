"""Events come to all who follow, in order, each once, across the death of whoever sends them."""

import contextlib
import threading

import httpx
import psutil
import pytest
from tests.e2e.driver import Study, followed, model
from tests.e2e.service import until

BODY = model()


@pytest.fixture
def study(service, key):
    return Study(service, key, body=BODY, minimum=1, rounds=3)


def train(party, rounds):
    for _ in range(rounds):
        task = party.task()
        assert party.hand_in(task["round"], party.trained(task)).status_code in (200, 201)


class Follower(threading.Thread):
    """Follows a study like a browser does: whenever the stream breaks, it asks again from the latest id on."""

    def __init__(self, study):
        super().__init__(daemon=True)
        self.study, self.events, self.connections = study, [], 0
        self.start()

    def run(self):
        while not self.is_done():
            with contextlib.suppress(httpx.TransportError):
                after = self.events[-1][0] if self.events else 0
                with followed(self.study, after=after) as events:
                    self.connections += 1
                    for event in events:
                        self.events.append(event)
                        if self.is_done():
                            return

    def is_done(self):
        return bool(self.events) and self.events[-1][1] == "project.finished"


def test_a_stream_goes_on_after_its_server_died_without_gap_or_repetition(service, study):
    followers = [Follower(study) for _ in range(3)]
    party = study.join("ada")
    train(party, 1)
    until(lambda: all(follower.events for follower in followers), what="everybody follows")

    service.kill("web")
    train(party, 2)
    for follower in followers:
        follower.join(20)

    ids = [event[0] for event in followers[0].events]
    assert ids == list(range(1, len(ids) + 1))
    assert [follower.events for follower in followers] == [followers[0].events] * 3
    assert all(follower.connections > 1 for follower in followers)
    kinds = [event[1] for event in followers[0].events]
    assert kinds.count("update.accepted") == kinds.count("round.complete") == 3


def test_an_open_stream_stays_open_and_tells_at_once(service, study):
    with followed(study) as events:
        train(study.join("ada"), 1)

        kinds = []
        while "round.complete" not in kinds:
            kinds.append(next(events)[1])

    assert kinds.index("update.accepted") < kinds.index("round.combining") < kinds.index("round.complete")


def test_ids_that_are_none_are_refused(service, study):
    token = {"Authorization": f"Bearer {study.operator.token}"}
    for nonsense in ("x", "-1", "1.5", "9" * 19, "9" * 5000, "0x1", "1 2"):
        answer = httpx.get(
            f"{service.url}/foedus/v1{study.path}/events", headers={**token, "Last-Event-ID": nonsense}, timeout=10
        )

        assert (answer.status_code, answer.json()["code"]) == (422, "invalid"), nonsense


def test_who_follows_from_the_future_on_is_told_nothing_of_the_past(service, study):
    client = httpx.Client(timeout=httpx.Timeout(10, read=0.5))
    headers = {"Authorization": f"Bearer {study.operator.token}", "Last-Event-ID": str(10**17)}
    with client, client.stream("GET", f"{service.url}/foedus/v1{study.path}/events", headers=headers) as stream:
        train(study.join("ada"), 1)
        said = []

        with contextlib.suppress(httpx.ReadTimeout):
            said.extend(stream.iter_lines())

    assert {line for line in said if line} <= {": open"}


def test_streams_that_clients_leave_are_given_up(service, study):
    web = psutil.Process(service.pid("web"))
    with contextlib.ExitStack() as stack:
        streams = [stack.enter_context(followed(study)) for _ in range(20)]
        for events in streams:
            assert next(events)[0] == 1
        open_files = web.num_fds()

    until(lambda: web.num_fds() <= open_files - len(streams), what="the connections are closed")
