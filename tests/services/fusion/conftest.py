"""A customer with fusion projects, whose cells are in memory or projects of the same server."""

from dataclasses import replace

import pytest
from tests.services.statistics.conftest import Lab

from foedus.connectors.cells.memory import MemoryCells
from foedus.core.fusion.freshness import Freshness
from foedus.core.fusion.parcel import Parcel, member_of, pack
from foedus.ports.cells import Cell, CellTerms
from foedus.ports.secrets import Secret
from foedus.records.fusion.models import Fusion, FusionCell
from foedus.services.fusion import defining, pulling
from foedus.services.fusion.defining import CellInfo, CreateFusion

SECRET = Secret("AAECAwQFBgcICQoLDA0ODw==")
TERMS = CellTerms(freshness=Freshness(window_s=15, max_age_s=600), seconds=2.0, max_bytes=1 << 20)


class Site(Lab):
    """``hold`` has a remote cell hand over a project of this lab."""

    def remote(self, name, secret=SECRET):
        return CellInfo(f"memory:{name}", "lab", name, secret)

    def parcel(self, project, *, as_name=None):
        kept = self.kept(project)
        return pack(Parcel(kept.columns, frozenset({member_of(as_name or project)}), kept.value))

    def hold(self, name, data):
        self.ports.cells.hold(Cell(f"memory:{name}", "lab", name, SECRET), data)

    def remotely(self, *names):
        """Remote cells, each of which hands over the project of that name."""
        for name in names:
            self.hold(name, self.parcel(name))
        return [self.remote(name) for name in names]

    def locally(self, *names):
        return [CellInfo("", self.customer.cid, name) for name in names]

    def fuse(self, cells, name="f", **params):
        command = CreateFusion(name=name, cells=cells, params=params)
        return defining.create_fusion(self.ports, self.actor, self.customer, command, now=self.clock())

    def update(self, name, cells, **params):
        defining.update_cells(self.ports, self.project(name), cells, params, now=self.clock())

    def current(self, name="f", **more):
        """What the fusion project has now."""
        pulling.current(self.ports, self.project(name), now=self.clock(), **more)
        return self.fresh(name)

    def error(self, name="f"):
        return Fusion.objects.get(project__name=name).error

    def cell(self, name):
        return FusionCell.objects.get(project=name)

    def asked(self):
        """How many questions cells were asked since this was called last."""
        count, self.ports.cells.asked[:] = len(self.ports.cells.asked), []
        return count


@pytest.fixture
def lab(ports, clock, transactional_db):
    return Site(replace(ports, cells=MemoryCells(TERMS)), clock)
