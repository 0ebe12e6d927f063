"""Two web replicas and two workers on PostgreSQL: either may be killed in mid-round, and no caller comes away empty."""

import threading
import time

import pytest
from tests.chaos.peace import in_peace
from tests.chaos.players import NAMES, Trainee, digests_of, endless
from tests.e2e.driver import Api
from tests.e2e.service import Apart, until
from tests.servers.proxy import proxy

GAP_S = 5.0  # without an answer, the client's own repetitions included


@pytest.fixture(autouse=True)
def _connections():
    yield
    Api.close_all()


class Caller(threading.Thread):
    """Somebody who asks all the time, and again at once when the connection broke; how long the longest answer took."""

    def __init__(self, url, token, key):
        super().__init__(daemon=True)
        self._operator, self._path = Api(url, token=token), f"/projects/{key}"
        self._over = threading.Event()
        self.longest_s, self.answers, self.failures = 0.0, 0, []

    def run(self):
        while not self._over.is_set():
            began = time.monotonic()
            try:
                self._operator.get(self._path)
            except Exception as exc:  # noqa: BLE001 - each of them is one too many
                self.failures.append(repr(exc))
            self.longest_s = max(self.longest_s, time.monotonic() - began)
            self.answers += 1

    def end(self):
        self._over.set()
        self.join()


def half_a_round(parties, number):
    for party in parties:
        party.next()
    tasks = [(party, party.task()) for party in parties]
    for party, task in tasks[:-1]:
        assert party.hand_in(number, party.trained(task)).status_code == 201
    return lambda: tasks[-1][0].hand_in(number, tasks[-1][0].trained(tasks[-1][1])).status_code


@pytest.mark.chaos
@pytest.mark.timeout(600)
def test_either_replica_may_die_in_mid_round_and_no_call_fails(tmp_path, postgresql_database):
    service = Apart(tmp_path / "data", webs=2, workers=2, FOEDUS_DATABASE_URL=postgresql_database)
    with service, proxy(*service.ports) as balancer:
        url = f"http://127.0.0.1:{balancer.port}"
        study = endless(service, "study", [url], rounds=4)
        parties = [study.join(name) for name in NAMES]
        caller = Caller(url, service.token, "study")
        caller.start()
        for number, (role, index) in enumerate([("web", 0), ("web", 1), ("worker", 0), ("worker", 1)], 1):
            hand_in_the_last = half_a_round(parties, number)

            service.kill(role, index)

            assert hand_in_the_last() == 201
            until(lambda n=number: study.round(n)["phase"] == "complete", within_s=30, what=f"round {number}")
            service.begin(role, index)
        caller.end()

        assert caller.failures == []
        assert caller.answers > 10
        assert caller.longest_s < GAP_S
        assert study.digests() == in_peace(4)


@pytest.mark.chaos
@pytest.mark.timeout(600)
def test_participants_of_the_client_library_notice_nothing_of_it(tmp_path, postgresql_database):
    """They are started once, and none of their calls may end them; each replica dies while they train."""
    service = Apart(tmp_path / "data", webs=2, workers=2, FOEDUS_DATABASE_URL=postgresql_database)
    with service, proxy(*service.ports) as balancer:
        study = endless(service, "study", [f"http://127.0.0.1:{balancer.port}"])
        trainees = [Trainee(study, tmp_path, name) for name in NAMES]
        try:
            gaps_s = [gap_after(service, study, role, index) for role in ("web", "worker") for index in (0, 1)]
            complete = study.project()["round"]["number"] - 1

            assert not [trainee for trainee in trainees if trainee.has_ended]
        finally:
            for trainee in trainees:
                trainee.end()
        assert max(gaps_s) < GAP_S
        assert digests_of(study)[: complete + 1] == in_peace(complete)


def gap_after(service, study, role, index):
    """Kill one of two while rounds go on; the seconds until two more of them are complete."""
    wait_for_rounds(study, 2)
    service.kill(role, index)
    began = time.monotonic()
    wait_for_rounds(study, 2)
    gap_s = time.monotonic() - began
    service.begin(role, index)
    return gap_s


def wait_for_rounds(study, more):
    wanted = (study.project()["round"] or {"number": 0})["number"] + more
    until(lambda: (study.project()["round"] or {"number": 0})["number"] >= wanted, within_s=90, what=f"round {wanted}")
