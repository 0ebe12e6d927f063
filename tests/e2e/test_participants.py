"""Participants die, too: who comes back goes on, who does not is not waited for, and who is late is not counted."""

import random
import subprocess
import sys
import time
from pathlib import Path

import pytest
from tests.e2e.driver import Study, model
from tests.e2e.service import GUARD, until

BODY = model()
NAMES = ("ada", "bea", "cyd")


class Trainee:
    """A participant's process; started again it comes back as who it was."""

    def __init__(self, study, folder, seed, *, key=None):
        self._command = [
            *GUARD, sys.executable, str(Path(__file__).parent / "trainee.py"),
            study.urls[0], key or study.keys()[0], str(folder / seed), seed,
        ]  # fmt: skip
        self.start()

    def start(self):
        self.process = subprocess.Popen(
            self._command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )

    def wait_for(self, line):
        for said in self.process.stdout:
            if said.strip() == line:
                return
        raise AssertionError(f"the participant ended and never said {line!r}")

    def kill(self):
        self.process.kill()
        self.process.wait()
        self.process.stdin.close()
        self.process.stdout.close()


@pytest.fixture
def trainees():
    started = []
    yield started
    for trainee in started:
        trainee.kill()


@pytest.fixture(scope="module")
def undisturbed(service):
    """The checkpoints of three rounds that nothing happens to."""
    study = Study(service, "undisturbed-participants", body=BODY, minimum=3)
    parties = [study.join(name) for name in NAMES]
    for _ in range(3):
        for party in parties:
            party.next()
        for party, task in [(party, party.task()) for party in parties]:
            party.hand_in(task["round"], party.trained(task))
    until(lambda: study.project()["state"] == "finished", what="the project is finished")
    return study.digests()


def test_a_participant_that_is_killed_goes_on_where_it_was(service, key, tmp_path, trainees, undisturbed):
    study = Study(service, key, body=BODY, minimum=3, settings={"dawdle": "cyd"})
    trainees += [Trainee(study, tmp_path, name) for name in NAMES]
    *_, killed = trainees
    for _ in range(2):
        killed.wait_for("dawdling")
        killed.kill()
        killed.start()
    killed.wait_for("dawdling")
    assert study.round(1)["phase"] == "collecting"

    killed.process.stdin.close()
    killed.wait_for("finished")

    assert study.digests() == undisturbed
    assert [len(study.updates(number)) for number in (1, 2, 3)] == [3, 3, 3]


@pytest.mark.chaos
@pytest.mark.parametrize("seed", range(3))
def test_participants_that_are_killed_at_any_moment_change_nothing(service, key, tmp_path, trainees, undisturbed, seed):
    rng = random.Random(seed)
    study = Study(service, key, body=BODY, minimum=3, heartbeat_timeout_s=3600.0, deadline_s=3600.0)
    trainees += [Trainee(study, tmp_path, name) for name in NAMES]
    ends_at = time.monotonic() + 8
    while time.monotonic() < ends_at and study.project()["state"] == "running":
        time.sleep(rng.uniform(0.0, 1.5))
        victim = rng.choice(trainees)
        victim.kill()
        victim.start()

    until(lambda: study.project()["state"] == "finished", within_s=60, what="the project is finished")

    assert study.digests() == undisturbed
    assert [len(study.updates(number)) for number in (1, 2, 3)] == [3, 3, 3]


def test_who_never_comes_back_is_closed_out_and_its_late_update_is_not_counted(service, key):
    study = Study(service, key, body=BODY, minimum=3, quorum=0.6, deadline_s=30.0, heartbeat_timeout_s=1.5, rounds=1)
    *present, dead = [study.join(name) for name in NAMES]
    tasks = {}
    for party in study.parties:
        party.next()
    for party in study.parties:
        tasks[party] = party.task()
    began = time.monotonic()
    for party in present:
        party.hand_in(1, party.trained(tasks[party]))

    until(lambda: study.round(1)["phase"] == "complete", what="the round closes without it")
    seconds = time.monotonic() - began
    late = dead.offer(1, dead.trained(tasks[dead]))

    assert seconds < 5  # its silence, and a tick
    assert (late.status_code, late.json()["code"]) == (409, "late")
    assert sorted(update["participant"] for update in study.updates(1)) == sorted(party.name for party in present)
    assert service.scratch == []


def test_a_round_ends_at_its_deadline_whoever_is_still_training(service, key):
    study = Study(service, key, body=BODY, minimum=2, quorum=0.5, deadline_s=1.5, heartbeat_timeout_s=60.0, rounds=1)
    quick, slow = study.join("quick"), study.join("slow")
    for party in study.parties:
        party.next()
    task, slow_task = quick.task(), slow.task()
    quick.hand_in(1, quick.trained(task))

    until(lambda: study.round(1)["phase"] == "complete", within_s=5, what="the deadline ends the round")
    beat = slow.post(f"{study.path}/heartbeat", round=1)
    late = slow.offer(1, slow.trained(slow_task))

    assert beat == {"round_open": False}
    assert (late.status_code, late.json()["code"]) == (409, "late")
    assert len(study.updates(1)) == 1
