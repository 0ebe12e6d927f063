"""Data sources of customers: told, kept sealed, attached to projects, looked into."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import uuid4

from django.db import IntegrityError, transaction
from django.db.models import Q

from foedus.core.errors import Conflict, Invalid
from foedus.core.symetryml.rows import Rows
from foedus.ports import Ports
from foedus.ports.sources import Listing, Reading
from foedus.records.customers.models import Customer
from foedus.records.sources.models import DataSource, SourceUse
from foedus.records.statistics.models import StatisticsJob, StatisticsProject
from foedus.services.shell.sealing import seal, unseal
from foedus.services.statistics.errors import SourceTaken, UnknownSource
from foedus.services.statistics.projects import check_name

PURPOSE = "data sources"
PREVIEW_ROWS = 128
MAX_SOURCES = 1_000  # of one customer
MAX_KEYS = 200
MAX_USES_SHOWN = 1_000


@dataclass(frozen=True, slots=True)
class Place:
    """What a customer says of a source."""

    kind: str
    name: str = ""
    info: Mapping[str, str] = field(default_factory=dict, repr=False)  # credentials are in it
    extra: Mapping[str, Any] = field(default_factory=dict, repr=False)


def create_source(ports: Ports, customer: Customer, place: Place, *, now: datetime) -> DataSource:
    """Raises Invalid, NoSuchKind, SourceTaken."""
    check_name(place.name)
    _check(ports, place)
    if DataSource.objects.filter(customer=customer).count() >= MAX_SOURCES:
        raise Conflict(f"a customer has at most {MAX_SOURCES} data sources")
    row = DataSource(
        customer=customer, name=place.name, key=uuid4().hex, kind=place.kind, created_at=now, modified_at=now
    )
    row.sealed = _sealed(ports, row, place)
    try:
        with transaction.atomic():
            row.save(force_insert=True)
    except IntegrityError:
        raise SourceTaken(source=place.name) from None
    return row


def update_source(ports: Ports, customer: Customer, name: str, place: Place, *, now: datetime) -> None:
    """Say anew where it is. Raises UnknownSource, Invalid, NoSuchKind."""
    row = find_source(customer, name)
    _check(ports, place)
    row.kind, row.sealed, row.modified_at = place.kind, _sealed(ports, row, place), now
    row.save(update_fields=["kind", "sealed", "modified_at"])


def delete_source(customer: Customer, name: str) -> None:
    """Raises UnknownSource; Conflict while projects use it."""
    row = find_source(customer, name)
    users = list(row.projects.values_list("name", flat=True)[:3])
    if users:
        raise Conflict(f"the data source is attached to {', '.join(users)}: detach it first")
    undone = (StatisticsJob.State.WAITING, StatisticsJob.State.RUNNING)
    of_source = Q(payload__source=name) | Q(payload__out=name)
    if StatisticsJob.objects.filter(of_source, customer=customer, state__in=undone).exists():
        raise Conflict("a job uses the data source; delete it once the job is done")
    row.delete()


def find_source(customer: Customer, name: str) -> DataSource:
    """Raises UnknownSource."""
    row = DataSource.objects.filter(customer=customer, name=name).first()
    if row is None:
        raise UnknownSource(source=name[:200])
    return row


def list_sources(customer: Customer) -> list[DataSource]:
    """A customer's sources by name."""
    return list(DataSource.objects.filter(customer=customer).defer("sealed").order_by("name"))


def attach_source(project: StatisticsProject, name: str) -> None:
    """Raises UnknownSource."""
    find_source(project.customer, name).projects.add(project)


def detach_source(project: StatisticsProject, name: str) -> None:
    """Raises UnknownSource."""
    find_source(project.customer, name).projects.remove(project)


def attached(project: StatisticsProject) -> list[str]:
    """The names of the sources that are attached to a project."""
    return list(DataSource.objects.filter(projects=project).order_by("name").values_list("name", flat=True))


def place_of(ports: Ports, row: DataSource) -> Place:
    """What the customer said of it."""
    said = json.loads(unseal(ports, bytes(row.sealed), purpose=PURPOSE, about=row.key))
    return Place(row.kind, row.name, said["info"], said["extra"])


@contextmanager
def opened(ports: Ports, place: Place) -> Iterator[Reading]:
    """The rows of a place. Raises what its source raises."""
    with ports.sources.of(place.kind).read(place.info) as reading:
        yield reading


def preview(ports: Ports, place: Place) -> Rows:
    """The first rows. Raises what the source raises."""
    with opened(ports, place) as reading:
        first = next(reading.rows, None)
    return Rows((), []) if first is None else Rows(first.names, first.data[:PREVIEW_ROWS], first.letters)


def browse(ports: Ports, place: Place) -> Listing:
    """What there is to read. Raises what the source raises."""
    return ports.sources.of(place.kind).browse(place.info)


def uses(project: StatisticsProject) -> list[SourceUse]:
    """What a project took from sources, the latest first, at most a thousand."""
    return list(SourceUse.objects.filter(project=project).order_by("-pk")[:MAX_USES_SHOWN])


def _check(ports: Ports, place: Place) -> None:
    ports.sources.of(place.kind)
    if len(place.info) > MAX_KEYS:
        raise Invalid(f"a data source has at most {MAX_KEYS} keys in info")


def _sealed(ports: Ports, row: DataSource, place: Place) -> bytes:
    said = json.dumps({"info": dict(place.info), "extra": dict(place.extra)}).encode()
    return seal(ports, said, purpose=PURPOSE, about=row.key)
