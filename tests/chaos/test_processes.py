"""Faults over whole services: real processes, real sockets, a real database and bus. Each run is seeded and reported.

The long run and its report, and one part of it:

    make chaos
    FOEDUS_TEST_SEED=7 FOEDUS_TEST_KILLS=50 .venv/bin/pytest -m chaos tests/chaos/test_processes.py -k "tree and part0"
"""

import os
from pathlib import Path

import pytest
from tests.chaos.peace import undisturbed
from tests.chaos.reports import write
from tests.chaos.rig import one_tree, two_of_each
from tests.chaos.storm import Storm
from tests.e2e.driver import Api
from tests.servers.nats import NatsMissingError
from tests.servers.postgresql import PostgresqlMissingError

SEED = int(os.environ.get("FOEDUS_TEST_SEED", "1"))
PARTS = 4  # of each service's storm: new services, and seeds one after the other, so that a cut loses little
KILLS = max(1, int(os.environ.get("FOEDUS_TEST_KILLS", "1000")) // (2 * PARTS))  # of one part
REPORTS = Path(os.environ.get("FOEDUS_TEST_REPORTS", "build/chaos"))


@pytest.fixture(autouse=True)
def _connections():
    yield
    Api.close_all()


def weathered(make, folder, kills, seed=SEED):
    """A storm and its findings; what this machine cannot do is said aloud."""
    try:
        with make(folder) as rig:
            return Storm(seed, rig.left_out).rage(rig, folder, kills)
    except (NatsMissingError, PostgresqlMissingError) as exc:
        pytest.skip(str(exc))


@pytest.mark.timeout(600)
def test_a_service_weathers_a_short_storm(tmp_path):
    report = write(tmp_path / "reports", weathered(one_tree, tmp_path, 3), "one-tree")

    assert report["findings"] == []
    assert report["kills"] == 3
    assert report["rounds"] > 3
    assert (tmp_path / "reports" / "storms.md").read_text().startswith("# Chaos: one-tree")


@pytest.mark.chaos
@pytest.mark.timeout(7200)
@pytest.mark.parametrize("part", [f"part{number}" for number in range(PARTS)])
@pytest.mark.parametrize("make", [one_tree, two_of_each])
def test_a_service_weathers_hundreds_of_kills(tmp_path, make, part):
    storm = weathered(make, tmp_path, KILLS, SEED + int(part.removeprefix("part")))
    storm.compare(undisturbed(tmp_path / "peace", len(storm.digests) - 1), "those of a service in peace")
    report = write(REPORTS, storm, make.__name__.replace("_", "-"))

    assert report["findings"] == []
    assert len(report["late"]) <= 0.01 * len(storm.recoveries)
