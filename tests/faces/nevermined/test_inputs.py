"""What a run reads has its limits; what it could reach is said."""

from dataclasses import replace
from errno import ENOSPC
from types import SimpleNamespace

import pytest
from tests.markets import metadata
from tests.node_market import CONSUMER, SCRIPT, balances

from foedus import bootstrap
from foedus.connectors.compute.process.runner import ProcessCompute
from foedus.records.market.models import Execution
from foedus.services.market import files

pytestmark = pytest.mark.django_db


def failed(market, **changes):
    market.execute(market.order(), market.workflow(**changes))
    market.work()
    execution = Execution.objects.get()
    assert (execution.state, execution.is_settled, balances(market)) == ("Failed", True, [1000, 0, 0])
    return execution.reason


def test_what_a_run_reads_has_one_limit_for_all_its_files(market, monkeypatch):
    options = bootstrap.settings()
    monkeypatch.setattr(bootstrap, "settings", lambda: replace(options, market_run_input_bytes=11))

    about = metadata("algorithm", algorithm={"entrypoint": SCRIPT})
    program = market.publish(CONSUMER, about, files=("table", "rows"))  # as large as the data: 6 bytes

    assert "more than 11 bytes" in failed(market, program=program)


def test_what_a_run_reads_leaves_room_on_the_disk(market, monkeypatch):
    monkeypatch.setattr(files, "disk_usage", lambda folder: SimpleNamespace(free=10))

    assert "more than 5 bytes" in failed(market)


def test_a_full_disk_is_the_end_of_a_run_and_no_reason_to_wait(market, monkeypatch):
    monkeypatch.setattr(files.Room, "take", _full)

    assert "no room" in failed(market)


def test_what_a_program_could_reach_is_in_its_status_and_stays_there(market, monkeypatch):
    start = ProcessCompute.start
    monkeypatch.setattr(ProcessCompute, "start", lambda self, job: replace(start(self, job), open_to=("the network",)))
    agreement = market.order()
    run = market.execute(agreement, market.workflow()).json()["workflowId"]
    before = market.get(f"/compute/status/{agreement}/{run}", sub=agreement, execution_id=run).json()

    market.work()

    after = market.get(f"/compute/status/{agreement}/{run}", sub=agreement, execution_id=run).json()
    assert "open_to" not in before
    assert (after["status"], "the network" in after["open_to"]) == ("Succeeded", True)


def _full(room, size):
    raise OSError(ENOSPC, "No space left on device")
