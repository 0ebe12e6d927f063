"""What there is to know of a fusion project's cells, for those who look; nobody is asked for it."""

from dataclasses import dataclass
from datetime import datetime

from foedus.core.fusion.freshness import age_s, judged
from foedus.ports import Ports
from foedus.records.fusion.models import Fusion
from foedus.records.statistics.models import StatisticsProject
from foedus.services.fusion.defining import cells_of, rule_of, state_of


@dataclass(frozen=True, slots=True)
class CellDescription:
    """``error``: why it did not answer when it was asked last. ``age_s``: of what is kept of it; None: nothing is."""

    url: str
    customer: str
    project: str
    rows: int
    error: str
    age_s: float | None


@dataclass(frozen=True, slots=True)
class FusionDescription:
    """``error``: what was wrong with which cells when somebody asked last. ``oldest_s``: of what is kept of them."""

    cells: tuple[CellDescription, ...]
    error: str
    oldest_s: float | None


def describe_fusion(ports: Ports, project: StatisticsProject, *, now: datetime) -> FusionDescription:
    rows = cells_of(project)
    cells = tuple(
        CellDescription(cell.url, cell.customer, cell.project, cell.rows, cell.error, age_s(state_of(cell), now))
        for cell in rows
    )
    verdict = judged([state_of(cell) for cell in rows], now, rule_of(ports, project))
    return FusionDescription(cells, Fusion.objects.get(pk=project.pk).error, verdict.oldest_s)
