"""Statistics projects as operators see them: of all customers of their organisation (a superuser's: of everybody)."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django.db.models import QuerySet

from foedus.core.errors import PlatformError
from foedus.core.exploration import Query
from foedus.ports import Ports
from foedus.records.sources.models import SourceUse, Stream, StreamError
from foedus.records.statistics.models import LearnTotal, StatisticsJob, StatisticsModel, StatisticsProject
from foedus.services.shell.authorisation import Actor, Kind
from foedus.services.shell.pages import Page, Window, page_of
from foedus.services.statistics.contributing import customer_of
from foedus.services.statistics.exploring import explored
from foedus.services.statistics.projects import find_project
from foedus.services.statistics.reading import describe

SHOWN = 20
SHOWN_ATTRIBUTES = 50
_NUMBERS = ("C", "B")


@dataclass(frozen=True, slots=True)
class Attribute:
    """A column; ``facts`` are its count, mean and the like, empty where there are none."""

    name: str
    letter: str
    facts: dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class ProjectLook:
    """A project and what happens to it."""

    project: StatisticsProject
    rows: int
    attributes: Sequence[Attribute]
    more_attributes: int
    models: Sequence[StatisticsModel]
    jobs: Sequence[StatisticsJob]
    streams: Sequence[tuple[Stream, Sequence[StreamError]]]
    uses: Sequence[SourceUse]
    totals: Sequence[LearnTotal]


def list_all_projects(actor: Actor, window: Window) -> Page[StatisticsProject]:
    """The projects that the actor may see, oldest first."""
    return page_of(_visible(StatisticsProject.objects.select_related("customer"), actor, "customer"), window)


def look_at(ports: Ports, actor: Actor, cid: str, name: str) -> ProjectLook:
    """Raises NotFound, Forbidden."""
    row = find_project(actor, customer_of(actor, cid), name)
    found = describe(ports, row)
    streams = Stream.objects.filter(project=row).defer("sealed").order_by("name")
    return ProjectLook(
        project=row, rows=found.rows, attributes=_attributes(ports, row, found.columns[:SHOWN_ATTRIBUTES]),
        more_attributes=max(0, len(found.columns) - SHOWN_ATTRIBUTES), models=found.models,
        jobs=list(StatisticsJob.objects.filter(project=row).order_by("-pk")[:SHOWN]),
        streams=[(each, list(each.errors.order_by("-pk")[:SHOWN])) for each in streams],
        uses=list(SourceUse.objects.filter(project=row).order_by("-pk")[:SHOWN]),
        totals=list(LearnTotal.objects.filter(project=row).order_by("client", "kind", "status")),
    )  # fmt: skip


def pending_jobs(actor: Actor) -> list[StatisticsJob]:
    """Jobs that are not over, the oldest first."""
    states = (StatisticsJob.State.WAITING, StatisticsJob.State.RUNNING)
    rows = StatisticsJob.objects.filter(state__in=states).select_related("customer", "project")
    return list(_visible(rows, actor, "customer").order_by("pk")[:SHOWN])


def running_streams(actor: Actor) -> list[Stream]:
    """Streams that are followed, those in trouble first."""
    rows = Stream.objects.filter(running=True).select_related("project__customer").defer("sealed")
    return list(_visible(rows, actor, "project__customer").order_by("-trouble", "pk")[:SHOWN])


def _visible(rows: QuerySet[Any], actor: Actor, customer: str) -> QuerySet[Any]:
    """Those for which ``may(actor, READ, project)`` holds, of operators."""
    if actor.kind is Kind.SYSTEM or actor.superuser:
        return rows
    if actor.kind is not Kind.OPERATOR or actor.organisation_id is None:
        return rows.none()
    return rows.filter(**{f"{customer}__organisation_id": actor.organisation_id})


def _attributes(ports: Ports, row: StatisticsProject, columns: Sequence[tuple[str, str]]) -> list[Attribute]:
    return [Attribute(name, letter, _facts(ports, row, name) if letter in _NUMBERS else {}) for name, letter in columns]


def _facts(ports: Ports, row: StatisticsProject, name: str) -> dict[str, Any]:
    """Nothing where nothing was counted yet."""
    try:
        return explored(ports, row, "uni", [Query((name,), (), {})])[0]
    except PlatformError:
        return {}
