"""Faults over whole services: real processes, real sockets, a real database and bus. Each run is seeded and reported.

The long run and its report:

    make chaos
    FOEDUS_TEST_SEED=7 FOEDUS_TEST_KILLS=50 .venv/bin/pytest -m chaos tests/chaos/test_processes.py
"""

import os
from pathlib import Path

import pytest
from tests.chaos.peace import undisturbed
from tests.chaos.rig import one_tree, two_of_each
from tests.chaos.storm import Storm
from tests.e2e.driver import Api
from tests.servers.nats import NatsMissingError
from tests.servers.postgresql import PostgresqlMissingError

SEED = int(os.environ.get("FOEDUS_TEST_SEED", "1"))
KILLS = int(os.environ.get("FOEDUS_TEST_KILLS", "500"))
REPORTS = Path(os.environ.get("FOEDUS_TEST_REPORTS", "build/chaos"))


@pytest.fixture(autouse=True)
def _connections():
    yield
    Api.close_all()


def weathered(make, folder, kills):
    """A storm and its findings; what this machine cannot do is said aloud."""
    try:
        with make(folder) as rig:
            return Storm(SEED, rig.left_out).rage(rig, folder, kills)
    except (NatsMissingError, PostgresqlMissingError) as exc:
        pytest.skip(str(exc))


@pytest.mark.timeout(600)
def test_a_service_weathers_a_short_storm(tmp_path):
    report = weathered(one_tree, tmp_path, 3).report(tmp_path / "reports", "one-tree")

    assert report["findings"] == []
    assert report["rounds"] > 3
    assert (tmp_path / "reports" / "one-tree.md").read_text().startswith("# Chaos: one-tree")


@pytest.mark.chaos
@pytest.mark.timeout(7200)
@pytest.mark.parametrize("make", [one_tree, two_of_each])
def test_a_service_weathers_hundreds_of_faults(tmp_path, make):
    storm = weathered(make, tmp_path, KILLS)
    storm.compare(undisturbed(tmp_path / "peace", len(storm.digests) - 1), "those of a service in peace")
    report = storm.report(REPORTS, make.__name__.replace("_", "-"))

    assert report["findings"] == []
    assert report["recovery_s"]["p99"] < report["recovery_limit_s"]
