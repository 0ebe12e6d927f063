"""The statistics of projects: kept in the database, at hand in memory, and changed one version after the other.

A change is computed outside of any transaction and committed only if nobody else committed in between; otherwise it is
computed again. What several threads change at the same moment becomes one version, so that a server is not slowed down
by writing large statistics once for each small batch.
"""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime
from itertools import count
from typing import Any
from uuid import uuid4

from django.db import transaction
from django.db.models import Q

from foedus.core.companions import Beside
from foedus.core.companions import decode as decode_beside
from foedus.core.companions import encode as encode_beside
from foedus.core.errors import PlatformError, Unavailable
from foedus.core.statistics import Statistics, decode, encode
from foedus.ports import Ports
from foedus.ports.blobs import BlobMissing
from foedus.records.prepared import PreparedRows
from foedus.records.statements import Slot
from foedus.records.statistics.models import Snapshot, StatisticsProject
from foedus.services.shell import jobs as shell
from foedus.services.shell.at_hand import AtHand, Memory
from foedus.services.shell.events import wake
from foedus.services.shell.leftovers import remove_unnamed
from foedus.services.statistics.at_hand import MEMORY, MOST_BYTES, bytes_of
from foedus.services.statistics.errors import Frozen, HasCells, ProjectMissing
from foedus.services.statistics.plans import declared_of, plan_of

INLINE_BYTES = 1 << 20  # larger statistics go to the blob store
_PATIENT_ATTEMPTS = 3  # then the project is locked first
FUSION = "fusion"  # the kind of projects whose statistics are merged of cells
Columns = tuple[tuple[str, str], ...]
_version = PreparedRows(lambda: StatisticsProject.objects.filter(pk=Slot("pk")).values_list("version"))


@dataclass(frozen=True, slots=True)
class Kept:
    """A project's statistics at a version, and what is kept beside them; ``columns`` (name, type letter) are in the
    order of their appearance.
    """

    version: int
    columns: Columns
    value: Statistics
    beside: Beside = field(default_factory=Beside)

    def with_columns(self, more: Columns) -> Columns:
        """All columns, those that are new behind the others."""
        known = {name for name, _ in self.columns}
        return (*self.columns, *(column for column in more if column[0] not in known))


@dataclass(frozen=True, slots=True)
class Change:
    """``apply`` makes what is kept next, or raises; it may run several times.

    ``also`` writes what belongs to the change, in its transaction. A change that has one is committed by itself.
    ``of_cells``: it is one that a fusion project takes; it takes no other.
    """

    apply: Callable[[Kept], Kept]
    also: Callable[[], None] | None = None
    when_frozen: bool = False
    of_cells: bool = False


@dataclass(slots=True, eq=False)
class _Pending:
    change: Change
    error: Exception | None = None
    done: bool = False


@dataclass(slots=True)
class _Slot:
    lock: threading.Lock = field(default_factory=threading.Lock)
    queue: list[_Pending] = field(default_factory=list)
    users: int = 0


class Keeper:
    """One a process. Safe to use from many threads, and beside other processes on the same database."""

    def __init__(self, memory: Memory | None = None) -> None:
        self._guard = threading.Lock()
        self._slots: dict[str, _Slot] = {}
        self._at_hand: AtHand[str, Kept] = AtHand("own", memory or Memory(MOST_BYTES))

    def read(self, ports: Ports, project: StatisticsProject) -> Kept:
        """The statistics as they are now. Raises ProjectMissing."""
        while True:
            at_hand = self._at_hand.get(project.key, self.version(project))
            if at_hand is not None:
                return at_hand
            found = StatisticsProject.objects.filter(pk=project.pk).values_list("version", "columns", "plan").first()
            if found is None:
                raise ProjectMissing(project=project.name)
            version, columns, plan = found
            kept = self._load(ports, project, version, columns, plan)
            if kept is not None:
                return kept

    def version(self, project: StatisticsProject) -> int:
        """Of the statistics as they are now. Raises ProjectMissing."""
        found = _version(pk=project.pk)
        if not found:
            raise ProjectMissing(project=project.name)
        return int(found[0][0])

    def change(self, ports: Ports, project: StatisticsProject, change: Change, *, now: datetime) -> None:
        """Commit a change: durable when this returns, and not done at all when it raises.

        Raises what ``change`` raises, Frozen, HasCells, ProjectMissing.
        """
        if not change.of_cells:
            refuse_cells(project)
        pending = _Pending(change)
        with self._slot(project.key) as slot:
            try:
                with self._guard:
                    slot.queue.append(pending)
                with slot.lock:
                    while not pending.done:
                        self._commit(ports, project, self._next(slot), now)
            finally:
                with self._guard:  # who is interrupted leaves nothing behind for others to commit
                    slot.queue = [each for each in slot.queue if each is not pending]
        if pending.error is not None:
            raise pending.error

    def _next(self, slot: _Slot) -> list[_Pending]:
        """The first change that waits, and those behind it that may become one version with it."""
        with self._guard:
            stop = next((i for i, each in enumerate(slot.queue) if each.change.also is not None), len(slot.queue))
            taken, slot.queue = slot.queue[: max(1, stop)], slot.queue[max(1, stop) :]
            return taken

    def _commit(self, ports: Ports, project: StatisticsProject, group: list[_Pending], now: datetime) -> None:
        """Whoever runs it commits for others too: what goes wrong is told to all of the group, and to nobody else."""
        failure: Exception | None = Unavailable("the server was interrupted; what was to be changed is as it was")
        try:
            self._tried(ports, project, group, now)
            failure = None
        except Exception as exc:  # noqa: BLE001 - it is raised by each of those who wait for it
            failure = exc
        finally:
            for each in group:
                each.error = each.error or failure
                each.done = True

    def _tried(self, ports: Ports, project: StatisticsProject, group: list[_Pending], now: datetime) -> None:
        """Attempt it until nobody else was faster."""
        for attempt in count():
            if attempt < _PATIENT_ATTEMPTS:
                committed = self._attempt(ports, project, group, now)
            else:
                with transaction.atomic():
                    StatisticsProject.objects.select_for_update().filter(pk=project.pk).first()
                    committed = self._attempt(ports, project, group, now)
            if committed:
                return

    def _attempt(self, ports: Ports, project: StatisticsProject, group: list[_Pending], now: datetime) -> bool:
        """Whether nobody else changed the project meanwhile."""
        kept = self.read(ports, project)
        frozen = StatisticsProject.objects.filter(pk=project.pk, frozen=True).exists()
        after, good = kept, []
        for each in group:
            each.error = None
            try:
                if frozen and not each.change.when_frozen:
                    raise Frozen
                after = replace(each.change.apply(after), version=kept.version + 1)
            except PlatformError as exc:
                each.error = exc
            else:
                good.append(each)
        return not good or self._store(ports, project, kept, after, good, now)

    def _store(
        self, ports: Ports, project: StatisticsProject, before: Kept, after: Kept, group: list[_Pending], now: datetime
    ) -> bool:
        data, beside = encode(after.value), encode_beside(after.beside)
        place = f"statistics/{project.key}/{after.version:020d}-{uuid4().hex}"  # whose name was never another's
        stored_at = [_put(ports, place, data), _put(ports, f"{place}-beside", beside)]
        blob, beside_blob = stored_at
        same = StatisticsProject.objects.filter(pk=project.pk, version=before.version)
        if not all(each.change.when_frozen for each in group):
            same = same.filter(frozen=False)
        try:
            with transaction.atomic():
                stored = same.update(
                    version=after.version, columns=[list(column) for column in after.columns],
                    rows=after.value.rows, modified_at=now,
                )  # fmt: skip
                if stored:
                    snapshot = {
                        "version": after.version, "data": None if blob else data, "blob": blob,
                        "beside": None if beside_blob else beside, "beside_blob": beside_blob,
                    }  # fmt: skip
                    if not Snapshot.objects.filter(project_id=project.pk).update(**snapshot):
                        Snapshot.objects.create(project_id=project.pk, **snapshot)
                    for each in group:
                        if each.change.also is not None:
                            each.change.also()
                    if project.on_change:
                        shell.enqueue(ports, project.on_change, str(project.pk), now, version=after.version)
                        wake(ports, shell.LONG_SUBJECT)
                    # Once committed: what is at hand under a version must be what the database has under it.
                    transaction.on_commit(lambda: self._remember(project.key, after, len(beside)))
        except BaseException as exc:
            remove_unnamed(ports, stored_at, _named, exc)
            raise
        if not stored:
            remove_unnamed(ports, stored_at, _named)
            return False
        if any(stored_at):
            transaction.on_commit(lambda: _sweep(ports, project.key, after.version), robust=True)
        return True

    def _load(self, ports: Ports, project: StatisticsProject, version: int, columns: Any, plan: Any) -> Kept | None:
        """None when the project moved on meanwhile."""
        if version == 0:
            value, beside, size = Statistics.empty(plan_of(plan)), Beside.empty(declared_of(project)), 0
        else:
            row = Snapshot.objects.filter(project_id=project.pk, version=version).first()
            if row is None:
                return None
            try:
                data, more = _get(ports, row.blob, row.data), _get(ports, row.beside_blob, row.beside)
            except BlobMissing:
                if Snapshot.objects.filter(project_id=project.pk, version=version).exists():
                    raise
                return None
            value, size = decode(data, foreign=False), len(more)
            beside = decode_beside(more, declared_of(project), foreign=False)
        kept = Kept(version, tuple((name, letter) for name, letter in columns), value, beside)
        self._remember(project.key, kept, size)
        return kept

    def _remember(self, key: str, kept: Kept, beside_bytes: int) -> None:
        self._at_hand.keep(key, kept, bytes_of(kept.value) + 2 * beside_bytes, kept.version)

    @contextmanager
    def _slot(self, key: str) -> Iterator[_Slot]:
        with self._guard:
            slot = self._slots.setdefault(key, _Slot())
            slot.users += 1
        try:
            yield slot
        finally:
            with self._guard:
                slot.users -= 1
                if not slot.users:
                    del self._slots[key]


def _put(ports: Ports, key: str, data: bytes) -> str:
    """Where large data went; nowhere, for what fits into the row."""
    if len(data) <= INLINE_BYTES:
        return ""
    ports.blobs.put(key, data)
    return key


def _get(ports: Ports, blob: str, data: Any) -> bytes:
    return b"".join(ports.blobs.read(blob)) if blob else bytes(data or b"")


def _named(blobs: list[str]) -> set[str]:
    either = Snapshot.objects.filter(Q(blob__in=blobs) | Q(beside_blob__in=blobs))
    return {blob for both in either.values_list("blob", "beside_blob") for blob in both}


def refuse_cells(project: StatisticsProject) -> None:
    """Raises HasCells for a fusion project, which takes no rows."""
    if project.kind == FUSION:
        raise HasCells


def _sweep(ports: Ports, key: str, version: int) -> None:
    """Remove what versions before left. A blob of a later version may be about to be committed by another process."""
    for blob in list(ports.blobs.list(f"statistics/{key}/")):
        number = blob.key.rpartition("/")[2].partition("-")[0]
        if number.isdigit() and int(number) < version:
            ports.blobs.delete(blob.key)


KEEPER = Keeper(MEMORY)
