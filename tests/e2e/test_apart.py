"""Web, worker and clock as processes of their own, several of each on PostgreSQL: killing one stops nothing."""

import pytest
from tests.e2e.driver import Study, model
from tests.e2e.gate import Gate
from tests.e2e.service import Apart, until

BODY = model()
NAMES = ("ada", "bea", "cyd")


def round_of(study, number, *, before_last=lambda: None, after_last=lambda: None):
    """One round, during which things may happen; the receipts."""
    for party in study.parties:
        party.next()
    tasks = {party: party.task() for party in study.parties}
    receipts = []
    for party in study.parties:
        if party is study.parties[-1]:
            before_last()
        answer = party.hand_in(number, party.trained(tasks[party]))
        assert answer.status_code in (200, 201), answer.text
        receipts.append(answer.json())
    after_last()
    until(lambda: study.round(number)["phase"] == "complete", within_s=15, what=f"round {number} is complete")
    counted = {(update["id"], update["digest"]) for update in study.updates(number)}
    assert counted == {(receipt["id"], receipt["digest"]) for receipt in receipts}
    return receipts


def digests_without_a_kill(service):
    study = Study(service, "undisturbed", body=BODY, urls=service.urls, minimum=3, rounds=4)
    for name in NAMES:
        study.join(name)
    for number in range(1, 5):
        round_of(study, number)
    return study.digests()


@pytest.mark.slow  # tests/e2e/test_survival.py and the short storm kill the same processes in one tree
def test_each_process_may_die_and_come_back(tmp_path):
    gate = Gate(tmp_path)
    with Apart(tmp_path / "data", **gate.environment) as service:
        expected = digests_without_a_kill(service)
        study = Study(service, "study", body=BODY, strategy="gated", minimum=3, rounds=4)
        for name in NAMES:
            study.join(name)

        def kill_web():
            service.kill("web")
            service.launch("web")

        def kill_worker_at_work():
            gate.wait_until_reached()
            service.kill("worker")
            gate.open()
            service.begin("worker")

        round_of(study, 1, before_last=kill_web)
        gate.close()
        round_of(study, 2, after_last=kill_worker_at_work)
        service.kill("clock")
        round_of(study, 3)
        service.kill("worker")
        round_of(study, 4, after_last=lambda: service.begin("worker"))
        service.begin("clock")

        assert study.digests() == expected


@pytest.mark.chaos
def test_two_of_each_on_postgresql_go_on_when_one_of_each_is_killed(tmp_path, postgresql_database):
    gate = Gate(tmp_path)
    service = Apart(tmp_path / "data", webs=2, workers=2, **gate.environment, FOEDUS_DATABASE_URL=postgresql_database)
    with service:
        expected = digests_without_a_kill(service)
        study = Study(service, "study", body=BODY, strategy="gated", urls=service.urls, minimum=3, rounds=4)
        for name in NAMES:
            study.join(name)

        def kill_the_worker_at_work():
            gate.wait_until_reached()
            service.kill("worker", gate.worker_of(service))
            gate.open()

        round_of(study, 1)
        round_of(study, 2, before_last=lambda: service.kill("web", 0))
        gate.close()
        round_of(study, 3, after_last=kill_the_worker_at_work)
        round_of(study, 4)

        assert study.digests() == expected
        assert study.project()["state"] == "finished"
