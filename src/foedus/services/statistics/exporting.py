"""Projects as text: their statistics, columns and parameters, to be imported here or on another server."""

import base64
import binascii
import json
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from django.db import transaction

from foedus.core.codecs import strict_json
from foedus.core.companions import decode as decode_beside
from foedus.core.companions import encode as encode_beside
from foedus.core.errors import Invalid
from foedus.core.fusion.parcel import checked_columns
from foedus.core.statistics import Statistics, decode, encode
from foedus.ports import Ports
from foedus.records.customers.models import Customer
from foedus.records.statistics.models import StatisticsProject
from foedus.services.shell.authorisation import Actor
from foedus.services.statistics.errors import NotSupported
from foedus.services.statistics.keeping import KEEPER, Change, Columns, Kept, refuse_cells
from foedus.services.statistics.plans import FEDERATED, declared_of, fields_of
from foedus.services.statistics.projects import CreateProject, create_project

_FORMAT = "foedus statistics project 1"
MAX_BYTES = 256 << 20


@dataclass(frozen=True, slots=True)
class Export:
    """``about``: what else it says of the project."""

    about: dict[str, Any]
    columns: Columns
    value: Statistics


def export_project(ports: Ports, project: StatisticsProject) -> str:
    """Base64 of JSON. Raises HasCells; NotSupported for a federated project, as others' statistics are part of it."""
    refuse_cells(project)
    if project.kind == FEDERATED:
        raise NotSupported("a federated project is not exported: what it answers from is its peers' as well")
    kept = KEEPER.read(ports, project)
    about = {
        "format": _FORMAT, "kind": project.kind, "params": project.params, "columns": kept.columns,
        "statistics": base64.b64encode(encode(kept.value)).decode(),
        "beside": base64.b64encode(encode_beside(kept.beside)).decode(),
    }  # fmt: skip
    return base64.b64encode(json.dumps(about, separators=(",", ":")).encode()).decode()


def import_project(
    ports: Ports, actor: Actor, customer: Customer, name: str, text: bytes, *, persisted: bool, now: datetime
) -> None:
    """A new project out of what ``export_project`` gave. Raises Invalid, ProjectTaken."""
    export = read_export(text)
    about, columns, value = export.about, export.columns, export.value
    params = {str(key): str(each) for key, each in dict(about.get("params") or {}).items()}
    with transaction.atomic():
        command = CreateProject(name=name, kind=str(about.get("kind", "")), params=params, persisted=persisted)
        row = create_project(ports, actor, customer, command, now=now)
        row.plan = fields_of(value.plan)
        row.save(update_fields=["plan"])

        beside = decode_beside(_data(about.get("beside", "")), declared_of(row))

        def imported(kept: Kept) -> Kept:
            return replace(kept, value=value, columns=columns, beside=beside)

        KEEPER.change(ports, row, Change(imported), now=now)


def read_export(text: bytes) -> Export:
    """Raises Invalid."""
    about = _read(text)
    value = _statistics(about)
    return Export(about, checked_columns(about.get("columns"), value), value)


def _read(text: bytes) -> dict[str, Any]:
    if len(text) > MAX_BYTES:
        raise Invalid(f"an export has at most {MAX_BYTES} bytes")
    try:
        value = strict_json.parse(base64.b64decode(text.strip().strip(b'"'), validate=True), max_depth=5)
    except (binascii.Error, ValueError, Invalid):
        raise Invalid("this is no export of a project") from None
    if not isinstance(value, dict) or value.get("format") != _FORMAT:
        raise Invalid("this is no export of a project, or one of another version")
    return value


def _statistics(about: dict[str, Any]) -> Statistics:
    return decode(_data(about.get("statistics")))


def _data(text: Any) -> bytes:
    try:
        return base64.b64decode(str(text), validate=True)
    except (binascii.Error, ValueError):
        raise Invalid("the export's statistics are damaged") from None
