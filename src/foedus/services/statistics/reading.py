"""What there is to know of a project, for those who look."""

from dataclasses import dataclass

from foedus.ports import Ports
from foedus.records.statistics.models import LearnTotal, StatisticsModel, StatisticsProject
from foedus.services.statistics.answering import ANSWERS
from foedus.services.statistics.keeping import Columns
from foedus.services.statistics.sources import attached
from foedus.services.statistics.streams import list_streams


@dataclass(frozen=True, slots=True)
class ProjectDescription:
    """A project, its columns in the order of their indices, its models by name, and how many rows it learned."""

    row: StatisticsProject
    columns: Columns
    models: tuple[StatisticsModel, ...]
    rows: int
    sources: tuple[str, ...] = ()
    streams: tuple[str, ...] = ()


def describe(ports: Ports, project: StatisticsProject) -> ProjectDescription:
    """Raises ProjectMissing."""
    kept = ANSWERS.read(ports, project)
    models = StatisticsModel.objects.filter(project=project).defer("fitted").order_by("name")
    names = tuple(each.name for each in list_streams(project))
    return ProjectDescription(project, kept.columns, tuple(models), kept.value.rows, tuple(attached(project)), names)


def learn_totals(ports: Ports, project: StatisticsProject) -> list[dict[str, str]]:
    """How often, and with how many rows, it learned and forgot, by client and outcome; and of which attributes."""
    columns = ANSWERS.read(ports, project).columns
    names, letters = ",".join(name for name, _ in columns), ",".join(letter for _, letter in columns)
    return [
        {
            "client": total.client, "kind": total.kind, "status": total.status, "calls": str(total.calls),
            "rows": str(total.rows), "latest": total.latest_at.isoformat(), "attributeNames": names,
            "attributeTypes": letters,
        }
        for total in LearnTotal.objects.filter(project=project).order_by("client", "kind", "status")
    ]  # fmt: skip
