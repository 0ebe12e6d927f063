"""Learning and forgetting: a frame is in the statistics as a whole, or not at all."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import transaction
from django.db.models import F

from foedus.core.companions import Companion
from foedus.core.companions.sequences import LabelledChains
from foedus.core.errors import PlatformError
from foedus.core.statistics import Batch, Kind, Patients, Statistics
from foedus.core.symetryml.frames import Frame, Letter, learnable
from foedus.core.symetryml.predicates import Predicates
from foedus.core.symetryml.preparation import Preparation
from foedus.ports import Ports
from foedus.records.statistics.models import LearnTotal, StatisticsProject
from foedus.services.shell.authorisation import Actor, Verb, require
from foedus.services.shell.sealing import KEY_NAME, derived
from foedus.services.statistics.computing import arithmetic_of
from foedus.services.statistics.encoding import encoded_columns
from foedus.services.statistics.harvests import MAX_COLUMNS, Harvest, adding, check_size, removing
from foedus.services.statistics.keeping import KEEPER, Change, Columns, Kept
from foedus.services.statistics.plans import declared_of, plan_of
from foedus.services.statistics.projects import PREDICATES

LETTERS = {
    Kind.CONTINUOUS: Letter.CONTINUOUS, Kind.BINARY: Letter.BINARY, Kind.CATEGORY: Letter.CATEGORY,
    Kind.ENCODED: Letter.STRING,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Learned:
    """How many rows went in, or out, and how many were left out: unreadable, or filtered."""

    rows: int
    skipped: int


def learn(
    ports: Ports, actor: Actor, project: StatisticsProject, frame: Any, *, client: str, now: datetime,
    also: Callable[[], None] | None = None,
) -> Learned:  # fmt: skip
    """Add a DataFrame's rows to the statistics. Raises Invalid, TooLarge, Conflict, Frozen; then nothing has changed.

    ``also`` is done in the transaction that adds them.
    """
    return _counted(ports, actor, project, frame, "learn", client, now, also)


def forget(
    ports: Ports, actor: Actor, project: StatisticsProject, frame: Any, *, client: str, now: datetime,
    also: Callable[[], None] | None = None,
) -> Learned:  # fmt: skip
    """Take a DataFrame's rows out again. Raises Conflict when they cannot have been learned; otherwise as ``learn``."""
    return _counted(ports, actor, project, frame, "forget", client, now, also)


def learn_statistics(
    ports: Ports, actor: Actor, project: StatisticsProject, value: Statistics, columns: Columns, *, now: datetime,
    also: Callable[[], None] | None = None,
) -> None:  # fmt: skip
    """Add statistics that were computed elsewhere, such as where the rows lie. Raises Conflict, TooLarge, Frozen."""
    require(actor, Verb.CHANGE, project)
    change(ports, project, Harvest(value, columns), "learn", now=now, also=also)


def known_letters(kept: Kept) -> dict[str, Letter]:
    """The types of the attributes that a project knows already."""
    return {attribute.name: LETTERS[attribute.kind] for attribute in kept.value.schema.attributes}


def frame_of(project: StatisticsProject, value: Any, kept: Kept) -> Frame:
    """A DataFrame as the project reads it, whose attributes are known by what is ``kept``. Raises Invalid, Conflict."""
    declared = declared_of(project)
    if declared.sequences:
        features = {name: Letter.CONTINUOUS for each in declared.companions.values() for name in _features(each)}
        return Frame.of(value, features, default=Letter.STRING)
    return declared.preparation.applied(Frame.of(value, known_letters(kept)))


def prepared(ports: Ports, project: StatisticsProject, value: Any) -> Any:
    """A DataFrame as the project makes it before it learns; most leave it as it is. Raises Invalid, Conflict."""
    if declared_of(project).preparation == Preparation():
        return value
    frame = frame_of(project, value, KEEPER.read(ports, project))
    rows = [list(row) for row in zip(*frame.cells, strict=True)]
    return {"attributeNames": list(frame.names), "attributeTypes": [str(each) for each in frame.letters], "data": rows}


def summarised(ports: Ports, project: StatisticsProject, value: Any) -> Harvest:
    """What a DataFrame adds to a project. Raises Invalid, TooLarge, Conflict, NoDevice."""
    kept, declared = KEEPER.read(ports, project), declared_of(project)
    frame = frame_of(project, value, kept)
    sent = frame.rows
    if PREDICATES in project.params:
        frame = frame.where(Predicates.parse(project.params[PREDICATES]).kept(frame))
    if declared.sequences:
        return _of_sequences(project, frame, sent)
    found = learnable(frame, encoded_columns(project, frame), max_columns=MAX_COLUMNS)
    check_size(kept, found.columns)
    plan = plan_of(project.plan)
    patients = None if found.patients is None else Patients.of(found.patients, _patients_key(ports, project))
    rows = frame.where(found.keep)
    with arithmetic_of(ports, project) as on:
        value = Statistics.of(found.batch, plan, patients=patients, on=on)
        pieces = tuple(
            Statistics.of(found.batch.where(places), plan, on=on)
            for places in (declared.window.pieces(found.batch.rows) if declared.window else ())
        )
    return Harvest(
        value,
        found.columns,
        {name: companion.part(rows) for name, companion in declared.companions.items()},
        pieces,
        found.batch.rows,
        sent - found.batch.rows,
    )


def _of_sequences(project: StatisticsProject, frame: Frame, sent: int) -> Harvest:
    """Tokens are in the chains alone; the statistics count rows."""
    companions = declared_of(project).companions
    features = {name for companion in companions.values() for name in _features(companion)}
    columns = tuple((name, (Letter.CONTINUOUS if name in features else Letter.STRING).value) for name in frame.names)
    parts = {name: companion.part(frame) for name, companion in companions.items()}
    value = Statistics.of(Batch([], frame.rows), plan_of(project.plan))
    return Harvest(value, columns, parts, rows=frame.rows, skipped=sent - frame.rows)


def _features(companion: Companion) -> tuple[str, ...]:
    return companion.features if isinstance(companion, LabelledChains) else ()


def _counted(
    ports: Ports, actor: Actor, project: StatisticsProject, frame: Any, kind: str, client: str, now: datetime,
    also: Callable[[], None] | None,
) -> Learned:  # fmt: skip
    require(actor, Verb.CHANGE, project)
    try:
        harvest = summarised(ports, project, frame)
        change(ports, project, harvest, kind, now=now, also=also)
    except PlatformError:
        count(project, client, kind, "failed", 0, now)
        raise
    count(project, client, kind, "ok", harvest.rows, now)
    return Learned(harvest.rows, harvest.skipped)


def change(
    ports: Ports, project: StatisticsProject, harvest: Harvest, kind: str, *, now: datetime,
    also: Callable[[], None] | None = None,
) -> None:  # fmt: skip
    """Add what rows come to (``learn``), or take it out again (``forget``). Raises Conflict, TooLarge, Frozen."""
    make = adding if kind == "learn" else removing
    KEEPER.change(ports, project, Change(make(declared_of(project), harvest), also), now=now)


def count(project: StatisticsProject, client: str, kind: str, status: str, rows: int, now: datetime) -> None:
    """Note it for the project's log; what is lost of that to a crash is no loss to the statistics."""
    same = {"project_id": project.pk, "client": client[:100], "kind": kind, "status": status}
    more = {"calls": F("calls") + 1, "rows": F("rows") + rows, "latest_at": now}
    if LearnTotal.objects.filter(**same).update(**more):
        return
    with transaction.atomic():
        if not StatisticsProject.objects.filter(pk=project.pk).exists():
            return
        LearnTotal.objects.get_or_create(**same, defaults={"latest_at": now})
        LearnTotal.objects.filter(**same).update(**more)


def _patients_key(ports: Ports, project: StatisticsProject) -> bytes:
    """One an organisation, so that its projects merge without counting anybody twice."""
    key = ports.secrets.get_or_create(KEY_NAME, 32).reveal().encode()
    return derived(key, f"foedus patients {project.customer.organisation_id}")
