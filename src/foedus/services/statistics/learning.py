"""Learning and forgetting: a frame is in the statistics as a whole, or not at all."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np
from django.db import transaction
from django.db.models import F

from foedus.core.errors import Conflict, PlatformError, TooLarge
from foedus.core.statistics import Batch, Kind, Patients, Statistics
from foedus.core.symetryml.frames import Frame, Letter, learnable
from foedus.core.symetryml.predicates import Predicates
from foedus.ports import Ports
from foedus.records.statistics.models import LearnTotal, StatisticsProject
from foedus.services.shell.authorisation import Actor, Verb, require
from foedus.services.shell.sealing import KEY_NAME, derived
from foedus.services.statistics.encoding import encoded_columns
from foedus.services.statistics.keeping import KEEPER, Change, Columns, Kept
from foedus.services.statistics.plans import plan_of
from foedus.services.statistics.projects import PREDICATES

_SLACK = 1e-9  # of the largest value: what rounding may move a mean by
MAX_COLUMNS = 4_000  # of one project: co-moments and squared products of so many take half a gigabyte
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
    KEEPER.change(ports, project, Change(_adding(value, columns), also), now=now)


def known_letters(kept: Kept) -> dict[str, Letter]:
    """The types of the attributes that a project knows already."""
    return {attribute.name: LETTERS[attribute.kind] for attribute in kept.value.schema.attributes}


def summarised(ports: Ports, project: StatisticsProject, value: Any) -> tuple[Statistics, Columns, Learned]:
    """What a DataFrame adds to a project. Raises Invalid, TooLarge, Conflict."""
    kept = KEEPER.read(ports, project)
    frame = Frame.of(value, known_letters(kept))
    sent = frame.rows
    if PREDICATES in project.params:
        frame = frame.where(Predicates.parse(project.params[PREDICATES]).kept(frame))
    found = learnable(frame, encoded_columns(project, frame), max_columns=MAX_COLUMNS)
    _check_size(kept, found.columns)
    patients = None if found.patients is None else Patients.of(found.patients, _patients_key(ports, project))
    batch: Batch = found.batch
    summary = Statistics.of(batch, plan_of(project.plan), patients=patients)
    return summary, found.columns, Learned(batch.rows, sent - batch.rows)


def _counted(
    ports: Ports, actor: Actor, project: StatisticsProject, frame: Any, kind: str, client: str, now: datetime,
    also: Callable[[], None] | None,
) -> Learned:  # fmt: skip
    require(actor, Verb.CHANGE, project)
    try:
        summary, columns, learned = summarised(ports, project, frame)
        change(ports, project, summary, columns, kind, now=now, also=also)
    except PlatformError:
        count(project, client, kind, "failed", 0, now)
        raise
    count(project, client, kind, "ok", learned.rows, now)
    return learned


def change(
    ports: Ports, project: StatisticsProject, value: Statistics, columns: Columns, kind: str, *, now: datetime,
    also: Callable[[], None] | None = None,
) -> None:  # fmt: skip
    """Add statistics (``learn``), or take them out again (``forget``). Raises Conflict, TooLarge, Frozen."""
    apply = _adding(value, columns) if kind == "learn" else _removing(value)
    KEEPER.change(ports, project, Change(apply, also), now=now)


def _adding(value: Statistics, columns: Columns) -> Callable[[Kept], tuple[Statistics, Columns]]:
    def added(kept: Kept) -> tuple[Statistics, Columns]:
        _check_size(kept, columns)
        return kept.value.merge(value), kept.with_columns(columns)

    return added


def _removing(value: Statistics) -> Callable[[Kept], tuple[Statistics, Columns]]:
    def removed(kept: Kept) -> tuple[Statistics, Columns]:
        left = kept.value.forget(value)
        _check_plausible(kept.value, value, left)
        return left, kept.columns

    return removed


def _check_plausible(before: Statistics, removed: Statistics, left: Statistics) -> None:
    """Raise Conflict where values were never learned: beyond the extremes, or leaving a mean that lies beyond them."""
    all_before, gone, rest = before.view(removed.columns), removed.view(), left.view()
    places = [all_before.columns.index(column) for column in rest.columns if column in all_before.columns]
    of_rest = [rest.columns.index(all_before.columns[place]) for place in places]
    low, high = all_before.least, all_before.most
    room = _SLACK * np.maximum(np.abs(low), np.abs(high))
    outside = (gone.least < low) | (gone.most > high)
    strange = (rest.mean[of_rest] < (low - room)[places]) | (rest.mean[of_rest] > (high + room)[places])
    if outside.any() or strange.any():
        raise Conflict("these rows cannot be forgotten: they hold values that were never learned")


def _check_size(kept: Kept, columns: Columns) -> None:
    size = len(kept.with_columns(columns))
    if size > MAX_COLUMNS:
        raise TooLarge(
            f"the project would have {size} attributes, and {MAX_COLUMNS} are allowed; a category with very many "
            "values is better encoded or ignored (X)",
            columns=size,
        )
    letters = dict(kept.columns)
    for name, letter in columns:
        if letters.get(name, letter) != letter:
            raise Conflict(f"attribute {name[:80]!r} is {letters[name]} in this project and {letter} in the frame")


def count(project: StatisticsProject, client: str, kind: str, status: str, rows: int, now: datetime) -> None:
    """Note it for the project's log; what is lost of that to a crash is no loss to the statistics."""
    with transaction.atomic():
        if not StatisticsProject.objects.filter(pk=project.pk).exists():
            return
        row, _ = LearnTotal.objects.get_or_create(
            project_id=project.pk, client=client[:100], kind=kind, status=status, defaults={"latest_at": now}
        )
        LearnTotal.objects.filter(pk=row.pk).update(calls=F("calls") + 1, rows=F("rows") + rows, latest_at=now)


def _patients_key(ports: Ports, project: StatisticsProject) -> bytes:
    """One an organisation, so that its projects merge without counting anybody twice."""
    key = ports.secrets.get_or_create(KEY_NAME, 32).reveal().encode()
    return derived(key, f"foedus patients {project.customer.organisation_id}")
