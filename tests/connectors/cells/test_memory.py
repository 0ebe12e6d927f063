from dataclasses import replace

import pytest
from tests.contracts.cells import DATA, SECRET, CellsContract

from foedus.connectors.cells.memory import MemoryCells
from foedus.ports.cells import Cell, CellTerms


class TestMemory(CellsContract):
    @pytest.fixture
    def cells(self):
        return MemoryCells(CellTerms(max_bytes=20_000))

    @pytest.fixture
    def cell(self, cells):
        cell = Cell("memory:a", "lab", "blood", SECRET)
        cells.hold(cell, DATA)
        return cell

    @pytest.fixture
    def hold(self, cells, cell):
        return lambda data: cells.hold(cell, data)

    @pytest.fixture
    def nowhere(self, cell):
        return replace(cell, url="memory:none")
