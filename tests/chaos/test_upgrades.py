"""Participants of the commit before with this server, and the reverse; old processes on new tables."""

import os
import subprocess
import sys

import pytest
from tests.chaos.peace import in_peace, take_turn
from tests.chaos.players import NAMES, Trainee, endless
from tests.chaos.releases import (
    NoHistoryError,
    Release,
    before_the_latest_migration,
    long_ago,
    the_latest_release,
    the_one_before,
)
from tests.e2e.driver import Api
from tests.e2e.service import Apart, Serve, until

ROUNDS = 3
FINISHED_S = 180.0


@pytest.fixture(autouse=True)
def _connections():
    yield
    Api.close_all()


EARLIER = [the_one_before, before_the_latest_migration, long_ago, the_latest_release]


@pytest.fixture(scope="module", params=EARLIER)
def release(request, tmp_path_factory):
    try:
        return Release(request.param(), tmp_path_factory.mktemp("release"))
    except (NoHistoryError, subprocess.CalledProcessError) as exc:
        pytest.skip(f"{exc}")


@pytest.fixture
def trainees():
    started = []
    yield started
    for trainee in started:
        trainee.end()


def finished(study):
    until(lambda: study.project()["state"] == "finished", within_s=FINISHED_S, what="the project is finished")
    return study.digests()


@pytest.mark.chaos
@pytest.mark.timeout(300)
def test_participants_of_an_earlier_commit_train_with_this_server(tmp_path, release, trainees):
    with Serve(tmp_path / "data") as service:
        study = endless(service, "study", [service.url], rounds=ROUNDS)
        trainees += [Trainee(study, tmp_path, name, environment=release.environment) for name in NAMES]

        assert finished(study) == in_peace(ROUNDS)


@pytest.mark.chaos
@pytest.mark.timeout(300)
def test_participants_of_today_train_with_a_server_of_an_earlier_commit(tmp_path, release, trainees):
    with Serve(tmp_path / "data", **release.environment) as service:
        study = endless(service, "study", [service.url], rounds=ROUNDS)
        trainees += [Trainee(study, tmp_path, name) for name in NAMES]

        assert finished(study) == in_peace(ROUNDS)


@pytest.mark.chaos
@pytest.mark.timeout(600)
def test_processes_of_an_earlier_commit_go_on_while_the_tables_change_and_are_then_replaced(
    tmp_path, release, postgresql_database
):
    """A rolling upgrade: new tables under old processes, then one process after the other."""
    data = tmp_path / "data"
    service = Apart(data, webs=2, workers=1, FOEDUS_DATABASE_URL=postgresql_database, **release.environment)
    with service:
        study = endless(service, "study", service.urls, rounds=3)
        parties = [study.join(name) for name in NAMES]
        take_turn(parties, 1)

        service.environment.pop("PYTHONPATH")
        migrated = subprocess.run(
            [sys.executable, "-m", "foedus", "manage", "migrate"], capture_output=True, text=True, check=False,
            env={**os.environ, **service.environment, "FOEDUS_DATA": str(data)},
        )  # fmt: skip
        assert migrated.returncode == 0, migrated.stderr
        take_turn(parties, 2)

        for role, index in (("web", 0), ("worker", 0), ("clock", 0), ("web", 1)):
            service.programs[role, index].stop()
            service.begin(role, index)
        take_turn(parties, 3)

        assert finished(study) == in_peace(3)
