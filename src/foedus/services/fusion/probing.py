"""Cells asked whether they would answer."""

from collections.abc import Sequence
from contextlib import ExitStack
from datetime import datetime

from foedus.core.fusion.parcel import member_of
from foedus.ports import Ports
from foedus.ports.cells import ANY, Question
from foedus.records.fusion.models import FusionCell
from foedus.records.statistics.models import StatisticsProject
from foedus.services.fusion.asking import ask
from foedus.services.fusion.defining import CellInfo, checked_cells, fused
from foedus.services.fusion.pulling import asker


def probe(
    ports: Ports, project: StatisticsProject, cells: Sequence[CellInfo], *, now: datetime
) -> list[tuple[CellInfo, str]]:
    """For each cell what is wrong with it, empty when it would answer. Any cells may be asked about, through any fusion
    project; secrets that are not said are those that it has. Raises Invalid.
    """
    wanted = checked_cells(ports, fused(project), cells, project.customer)
    asked = [(FusionCell(url=each.host, customer=each.cid, project=each.pid), each.secret) for each in wanted]
    question = Question(known=ANY, chain=(member_of(project.key),), seconds=ports.cells.terms.seconds)
    with ExitStack() as stack:
        said = ask(ports, stack, asked, question, asker(ports, project.customer, now))
        return [(cell, each.error.message if each.error else "") for cell, each in zip(wanted, said, strict=True)]
