from dataclasses import replace

import pytest

from foedus.connectors.ledger.local.ledger import LocalLedger


@pytest.fixture
def market(ports):
    """Ports with a ledger whose blocks take a second."""
    return replace(ports, ledger=LocalLedger(1.0))
