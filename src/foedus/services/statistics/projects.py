"""Statistics projects: made, found, changed and removed."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any
from uuid import uuid4

from django.db import IntegrityError, transaction
from django.db.models import QuerySet

from foedus.core.companions import declared
from foedus.core.errors import Conflict, Invalid
from foedus.core.statistics import Plan, Statistics
from foedus.core.symetryml.predicates import Predicates
from foedus.ports import Ports
from foedus.records.customers.models import Customer
from foedus.records.statistics.models import StatisticsProject
from foedus.services.shell import audit
from foedus.services.shell.authorisation import Actor, Verb, require
from foedus.services.statistics.computing import check_single, device_for
from foedus.services.statistics.errors import NotSupported, ProjectMissing, ProjectTaken
from foedus.services.statistics.harvests import Harvest, adding
from foedus.services.statistics.keeping import FUSION, KEEPER, Change, Kept, refuse_cells
from foedus.services.statistics.plans import MERGED, SEQUENCE, declared_of, fields_of, plan_of

KINDS = {
    "": "cpu",
    "dynamic": "cpu",
    "cpu": "cpu",
    "gpu": "cpu",
    "partition": "partition",
    SEQUENCE: SEQUENCE,
}
PREDICATES = "sml_project_predicate_row_filter"
PARTITION = "partitionSplit"
MAX_PARAMS = 200
MAX_PARAM = 65_536  # characters of its name and its text
MAX_PROJECTS = 10_000  # of one customer
_NAME = re.compile(r"[^\s/:\\?#%\x00-\x1f\x7f](?:[^/:\\?#\x00-\x1f\x7f]{0,198}[^\s/:\\?#\x00-\x1f\x7f])?")
# What changes how rows are learned, in ways that this server does not have; the rest is kept and shown.
_UNSUPPORTED = ("automl_",)


@dataclass(frozen=True, slots=True, kw_only=True)
class CreateProject:
    name: str
    kind: str = "cpu"
    params: Mapping[str, str] = field(default_factory=dict)
    histogram: bool = False
    persisted: bool = False
    device: str = ""


def create_project(
    ports: Ports, actor: Actor, customer: Customer, command: CreateProject, *, now: datetime
) -> StatisticsProject:
    """An empty project. Raises Invalid, NotSupported, ProjectTaken."""
    asked = command.kind.strip().lower()
    kind = _kind(asked)
    command = replace(command, device=device_for(ports, "type", asked))
    return make_project(actor, customer, command, kind, now=now)


def make_project(
    actor: Actor, customer: Customer, command: CreateProject, kind: str, *, now: datetime, on_change: str = ""
) -> StatisticsProject:
    """An empty project of a ``kind`` that a service decides on. Raises as ``create_project`` does."""
    check_name(command.name)
    params = _params(command.params)
    _check_declared(kind, params)
    targets = tuple(each.strip() for each in params.get(PARTITION, "").split(",") if each.strip())
    if kind == "partition" and not targets:
        raise Invalid(f"a partition project names the attribute that splits it in {PARTITION}")
    plan = Plan(targets=targets if kind == "partition" else (), products=True, sketches=command.histogram)
    if StatisticsProject.objects.filter(customer=customer).count() >= MAX_PROJECTS:
        raise Conflict(f"a customer has at most {MAX_PROJECTS} projects")
    row = StatisticsProject(
        customer=customer, name=command.name, key=uuid4().hex, kind=kind, params=params, plan=fields_of(plan),
        persisted=command.persisted, device=command.device, on_change=on_change, created_at=now, modified_at=now,
    )  # fmt: skip
    require(actor, Verb.CHANGE, row)
    try:
        with transaction.atomic():
            row.save(force_insert=True)
            _note(actor, "create", row, now)
    except IntegrityError:
        raise ProjectTaken(project=command.name) from None
    return row


def find_project(actor: Actor, customer: Customer, name: str, verb: Verb = Verb.READ) -> StatisticsProject:
    """Raises ProjectMissing."""
    row = StatisticsProject.objects.select_related("customer").filter(customer=customer, name=name).first()
    if row is None:
        raise ProjectMissing(project=name[:200])
    require(actor, verb, row)
    return row


def list_projects(customer: Customer) -> QuerySet[StatisticsProject]:
    """A customer's projects by name."""
    return StatisticsProject.objects.filter(customer=customer).order_by("name")


def rename_project(actor: Actor, customer: Customer, name: str, new_name: str, *, now: datetime) -> None:
    """Raises Invalid, ProjectMissing, ProjectTaken."""
    check_name(new_name)
    row = find_project(actor, customer, name, Verb.CHANGE)
    try:
        with transaction.atomic():
            StatisticsProject.objects.filter(pk=row.pk).update(name=new_name, modified_at=now)
            _note(actor, "rename", row, now, to=new_name)
    except IntegrityError:
        raise ProjectTaken(project=new_name) from None


def delete_project(ports: Ports, actor: Actor, customer: Customer, name: str, *, now: datetime) -> None:
    """Remove a project with its statistics, models and jobs. Raises ProjectMissing."""
    row = find_project(actor, customer, name, Verb.CHANGE)
    with transaction.atomic():
        key = row.key
        row.delete()
        _note(actor, "delete", row, now)
        transaction.on_commit(lambda: _remove_blobs(ports, key), robust=True)


def save_project(actor: Actor, customer: Customer, name: str, *, now: datetime) -> None:
    """Mark a project as one to be kept. (Every change is on disk anyhow.) Raises ProjectMissing."""
    row = find_project(actor, customer, name, Verb.CHANGE)
    StatisticsProject.objects.filter(pk=row.pk).update(persisted=True, modified_at=now)


def unload_project(ports: Ports, actor: Actor, customer: Customer, name: str, *, now: datetime) -> None:
    """Let go of a project: one that was never saved is gone, as clients are told. Raises ProjectMissing."""
    row = find_project(actor, customer, name, Verb.CHANGE)
    if not row.persisted and row.params.get("sml_project_autosave", "true") != "true":
        delete_project(ports, actor, customer, name, now=now)


def set_frozen(actor: Actor, customer: Customer, name: str, *, frozen: bool, now: datetime) -> None:
    """A frozen project neither learns nor forgets. Raises ProjectMissing."""
    row = find_project(actor, customer, name, Verb.CHANGE)
    with transaction.atomic():
        StatisticsProject.objects.filter(pk=row.pk).update(frozen=frozen, modified_at=now)
        _note(actor, "freeze" if frozen else "unfreeze", row, now)


def set_histogram(ports: Ports, actor: Actor, customer: Customer, name: str, *, enabled: bool, now: datetime) -> None:
    """Keep the distribution of continuous attributes, or not. Raises ProjectMissing; Conflict once there are rows."""
    row = find_project(actor, customer, name, Verb.CHANGE)
    refuse_cells(row)
    plan = plan_of(row.plan)
    if plan.sketches == enabled:
        return
    if KEEPER.read(ports, row).value.rows:
        raise Conflict(
            "histograms are kept from the first row on, and this project has rows; make a new project with "
            "enableHistogram=true, or forget the rows first"
        )
    fields = fields_of(Plan(targets=plan.targets, products=plan.products, sketches=enabled))

    def emptied(kept: Kept) -> Kept:
        if kept.value.rows:
            raise Conflict("the project has learned meanwhile")
        return replace(kept, value=Statistics.empty(plan_of(fields)))

    def also() -> None:
        StatisticsProject.objects.filter(pk=row.pk).update(plan=fields)

    KEEPER.change(ports, row, Change(emptied, also), now=now)


def merge_projects(ports: Ports, actor: Actor, customer: Customer, name: str, other: str, *, now: datetime) -> None:
    """Add the statistics of ``other``, which stays as it is. Raises ProjectMissing, Invalid, Conflict."""
    row = find_project(actor, customer, name, Verb.CHANGE)
    giver = find_project(actor, customer, other)
    if giver.pk == row.pk:
        raise Invalid("a project is not merged into itself: its rows would count twice")
    if declared_of(giver) != declared_of(row):
        raise Conflict("projects that keep different things beside their statistics do not merge")
    KEEPER.change(ports, row, Change(adding(declared_of(row), Harvest.of(KEEPER.read(ports, giver)))), now=now)
    _note(actor, "merge", row, now, other=other)


def check_name(name: str) -> None:
    """Raises Invalid for what could not be part of an address."""
    if not _NAME.fullmatch(name):
        raise Invalid("a name has 1 to 200 characters, none of them / : \\ ? # and no blanks around")


def _kind(text: str) -> str:
    kind = KINDS.get(text)
    check_single("type", text)
    if text == FUSION:
        raise Invalid("a fusion project is made with its cells: POST projects/fusion/create")
    if kind is None:
        raise NotSupported(
            f"there are no projects of type {text[:40]!r} here; there are {', '.join(filter(None, KINDS))}"
        )
    return kind


def _check_declared(kind: str, params: Mapping[str, str]) -> None:
    found = declared(params, sequences=kind == SEQUENCE)
    if kind in MERGED and (found.companions or found.window or found.preparation.bins):
        raise NotSupported(
            f"{kind} projects exchange statistics alone: they have no rolling window, no hashed categories, and keep "
            "nothing for km_*, lr_*, rf_*, cluster_* and evt_*"
        )


def _params(given: Mapping[str, str]) -> dict[str, str]:
    if len(given) > MAX_PARAMS:
        raise Invalid(f"a project has at most {MAX_PARAMS} parameters")
    for name, text in given.items():
        if not f"{name}{text}".isprintable() or len(name) + len(text) > MAX_PARAM:
            raise Invalid(f"parameters are up to {MAX_PARAM} printable characters, name and text; not so {name[:40]!r}")
        if name.startswith(_UNSUPPORTED):
            raise NotSupported(f"this server has no {name[:80]!r}: leave it out")
    if PREDICATES in given:
        Predicates.parse(given[PREDICATES])
    return {"sml_project_autosave": "true", **given}


def _remove_blobs(ports: Ports, key: str) -> None:
    for folder in ("statistics", "parts"):
        ports.blobs.delete(*[blob.key for blob in ports.blobs.list(f"{folder}/{key}/")])


def _note(actor: Actor, verb: str, row: StatisticsProject, now: datetime, **details: Any) -> None:
    audit.record(
        actor, verb, f"statistics-project:{row.customer.cid}/{row.name}"[:300],
        organisation_id=row.customer.organisation_id, now=now, **details,
    )  # fmt: skip
