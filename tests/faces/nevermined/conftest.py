from dataclasses import replace

import pytest
from tests.node_market import Market

from foedus.connectors.compute.process.runner import ProcessCompute
from foedus.connectors.ledger.local.ledger import LocalLedger
from foedus.core.market.rules import STRICT
from foedus.faces.nevermined.limits import MARKET


@pytest.fixture
def market(ports, tmp_path, monkeypatch):
    MARKET.configure(0, STRICT)
    compute = ProcessCompute(tmp_path / "runs", allow=["127.0.0.1"])
    whole = replace(ports, ledger=LocalLedger(1.0), compute=compute)
    monkeypatch.setattr("foedus.bootstrap.ports", lambda: whole)
    yield Market(whole)
    for folder in (tmp_path / "runs").glob("*"):
        compute.remove(folder.name)
