"""Fusion projects and their cells: made, changed and described. What a cell's secret is, only asking it finds out."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from django.db import transaction
from django.db.models import F

from foedus.core.errors import Invalid
from foedus.core.fusion.freshness import MAX_SPAN, CellState, Freshness
from foedus.ports import Ports
from foedus.ports.secrets import Secret
from foedus.records.customers.models import Customer
from foedus.records.fusion.models import Fusion, FusionCell
from foedus.records.statistics.models import StatisticsProject
from foedus.services.customers.accounts import checked_secret
from foedus.services.shell.authorisation import Actor
from foedus.services.shell.sealing import seal, unseal
from foedus.services.statistics.keeping import FUSION
from foedus.services.statistics.projects import CreateProject, check_name, make_project

PURPOSE = "cells of fusion projects"
MAX_CELLS = 128
MAX_CID = 100
WINDOW = "rtlm.option.sml.fusion.prefetch.min.time.ms"
MAX_AGE = "fusion_max_age_s"
STRICT = "fusion_strict"
_PARAMS = (WINDOW, MAX_AGE, STRICT)
NO_SECRET = Secret("")


@dataclass(frozen=True, slots=True)
class CellInfo:
    """What a customer says of a cell. ``host``: empty for a project on this server."""

    host: str
    cid: str
    pid: str
    secret: Secret = NO_SECRET


@dataclass(frozen=True, slots=True, kw_only=True)
class CreateFusion:
    name: str
    cells: Sequence[CellInfo]
    params: Mapping[str, str] = field(default_factory=dict)
    persisted: bool = False


def create_fusion(
    ports: Ports, actor: Actor, customer: Customer, command: CreateFusion, *, now: datetime
) -> StatisticsProject:
    """A fusion project; no cell is asked yet. Raises Invalid, ProjectTaken."""
    check_params(command.params)
    with transaction.atomic():
        about = CreateProject(name=command.name, params=command.params, persisted=command.persisted)
        row = make_project(actor, customer, about, FUSION, now=now)
        fusion = Fusion.objects.create(project=row)
        _set_cells(ports, fusion, command.cells)
    return row


def update_cells(
    ports: Ports, project: StatisticsProject, cells: Sequence[CellInfo], params: Mapping[str, str], *, now: datetime
) -> None:
    """Have these cells from now on. What is kept of those that stay is kept; without a secret theirs stays, too.

    Raises Invalid.
    """
    check_params(params)
    with transaction.atomic():
        fusion = Fusion.objects.select_for_update().get(project=fused(project))
        _set_cells(ports, fusion, cells)
        Fusion.objects.filter(pk=fusion.pk).update(revision=F("revision") + 1)
        StatisticsProject.objects.filter(pk=project.pk).update(params={**project.params, **params}, modified_at=now)


def fused(project: StatisticsProject) -> StatisticsProject:
    """The project, if it is a fusion project. Raises Invalid."""
    if project.kind != FUSION:
        raise Invalid(f"{project.name!r} is no fusion project: it has no cells")
    return project


def cells_of(project: StatisticsProject) -> list[FusionCell]:
    """A fusion project's cells in their order."""
    return list(FusionCell.objects.filter(fusion_id=project.pk).order_by("place"))


def state_of(cell: FusionCell) -> CellState:
    return CellState(name=str(cell), tried_at=cell.tried_at, good_at=cell.good_at, error=cell.error)


def rule_of(ports: Ports, project: StatisticsProject) -> Freshness:
    """How fresh its cells are to be: as the project says, otherwise as the server does."""
    rule, params = ports.cells.terms.freshness, project.params
    if WINDOW in params:
        rule = replace(rule, window_s=float(params[WINDOW]) / 1000)
    if MAX_AGE in params:
        rule = replace(rule, max_age_s=float(params[MAX_AGE]))
    return replace(rule, strict=params.get(STRICT, "false") == "true")


def secret_of(ports: Ports, cell: FusionCell) -> Secret:
    """Empty when it needs none."""
    if cell.sealed is None:
        return NO_SECRET
    return Secret(unseal(ports, bytes(cell.sealed), purpose=PURPOSE, about=_about(cell)).decode())


def checked_cells(
    ports: Ports, project: StatisticsProject | None, cells: Sequence[CellInfo], owner: Customer
) -> list[CellInfo]:
    """The cells as they are kept; secrets that are not said are those that ``project`` has. Raises Invalid."""
    if not 0 < len(cells) <= MAX_CELLS:
        raise Invalid(f"a fusion project has 1 to {MAX_CELLS} cells")
    known = {(cell.url, cell.customer, cell.project): cell for cell in (cells_of(project) if project else ())}
    found: dict[tuple[str, str, str], CellInfo] = {}
    for each in cells:
        url = ports.cells.check(each.host) if each.host else ""
        key = (url, each.cid, each.pid)
        if not each.cid or not each.pid:
            raise Invalid("a cell is {host, cid, sk, pid}, and cid and pid are those of a project")
        if len(each.cid) > MAX_CID or "/" in each.cid:
            raise Invalid(f"the cid of a cell has at most {MAX_CID} characters, none of them /")
        check_name(each.pid)
        if project is not None and key == ("", owner.cid, project.name):
            raise Invalid("a fusion project cannot be its own cell")
        if key in found:
            raise Invalid(f"the cell {each.cid}/{each.pid} is in the list twice: its rows would count twice")
        secret = each.secret or (secret_of(ports, known[key]) if key in known else NO_SECRET)
        if secret:
            checked_secret(secret.reveal())
        elif url or each.cid != owner.cid:
            raise Invalid(f"the cell {each.cid}/{each.pid} needs a secret key (sk): its customer's, or a token of it")
        found[key] = CellInfo(url, each.cid, each.pid, secret)
    return list(found.values())


def check_params(params: Mapping[str, str]) -> None:
    """Raises Invalid."""
    for name, text in params.items():
        if name not in _PARAMS:
            raise Invalid(f"a fusion project has no parameter {name[:80]!r}; it has {', '.join(_PARAMS)}")
        if name == STRICT:
            if text not in ("true", "false"):
                raise Invalid(f"{STRICT} is true or false, not {text[:40]!r}")
            continue
        try:
            number = float(text)
        except ValueError:
            number = -1.0
        if not 0 <= number <= MAX_SPAN:
            raise Invalid(f"{name} is a number from 0 to {MAX_SPAN:g}, not {text[:40]!r}")


def _set_cells(ports: Ports, fusion: Fusion, cells: Sequence[CellInfo]) -> None:
    """In the caller's transaction."""
    project = fusion.project
    wanted = checked_cells(ports, project, cells, project.customer)
    before = {(cell.url, cell.customer, cell.project): cell for cell in cells_of(project)}
    for place, each in enumerate(wanted):
        cell = before.pop((each.host, each.cid, each.pid), None)
        if cell is None:
            cell = FusionCell(fusion=fusion, url=each.host, customer=each.cid, project=each.pid)
        cell.place, cell.tried_at = place, None
        cell.sealed = None
        if each.secret:
            cell.sealed = seal(ports, each.secret.reveal().encode(), purpose=PURPOSE, about=_about(cell))
        cell.save()
    blobs = [cell.blob for cell in before.values() if cell.blob]
    FusionCell.objects.filter(pk__in=[cell.pk for cell in before.values()]).delete()
    transaction.on_commit(lambda: remove_blobs(ports, blobs), robust=True)


def remove_blobs(ports: Ports, blobs: Sequence[str]) -> None:
    for blob in blobs:
        ports.blobs.delete(blob)


def _about(cell: FusionCell) -> str:
    """What a secret was told for: it opens for no other address."""
    return json.dumps([cell.fusion_id, cell.url, cell.customer, cell.project])
