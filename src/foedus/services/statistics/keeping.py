"""The statistics of projects: kept in the database, at hand in memory, and changed one version after the other.

A change is computed outside of any transaction and committed only if nobody else committed in between; otherwise it is
computed again. What several threads change at the same moment becomes one version, so that a server is not slowed down
by writing large statistics once for each small batch.
"""

import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from itertools import count
from typing import Any

from django.db import transaction

from foedus.core.errors import PlatformError
from foedus.core.statistics import Statistics, decode, encode
from foedus.ports import Ports
from foedus.ports.blobs import BlobMissing
from foedus.records.statistics.models import Snapshot, StatisticsProject
from foedus.services.shell import jobs as shell
from foedus.services.statistics.errors import Frozen, ProjectMissing
from foedus.services.statistics.plans import plan_of

INLINE_BYTES = 1 << 20  # larger statistics go to the blob store
CACHE_BYTES = 512 << 20
_PATIENT_ATTEMPTS = 3  # then the project is locked first
Columns = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Kept:
    """A project's statistics at a version; ``columns`` (name, type letter) are in the order of their appearance."""

    version: int
    columns: Columns
    value: Statistics

    def with_columns(self, more: Columns) -> Columns:
        """All columns, those that are new behind the others."""
        known = {name for name, _ in self.columns}
        return (*self.columns, *(column for column in more if column[0] not in known))


@dataclass(frozen=True, slots=True)
class Change:
    """``apply`` makes the next statistics and columns, or raises; it may run several times.

    ``also`` writes what belongs to the change, in its transaction. A change that has one is committed by itself.
    """

    apply: Callable[[Kept], tuple[Statistics, Columns]]
    also: Callable[[], None] | None = None
    when_frozen: bool = False


@dataclass(slots=True)
class _Pending:
    change: Change
    error: PlatformError | None = None
    done: bool = False


@dataclass(slots=True)
class _Slot:
    lock: threading.Lock = field(default_factory=threading.Lock)
    queue: list[_Pending] = field(default_factory=list)
    users: int = 0


class Keeper:
    """One a process. Safe to use from many threads, and beside other processes on the same database."""

    def __init__(self, cache_bytes: int = CACHE_BYTES) -> None:
        self._guard = threading.Lock()
        self._slots: dict[str, _Slot] = {}
        self._cache: OrderedDict[str, tuple[Kept, int]] = OrderedDict()
        self._cache_bytes = cache_bytes

    def read(self, ports: Ports, project: StatisticsProject) -> Kept:
        """The statistics as they are now. Raises ProjectMissing."""
        while True:
            found = StatisticsProject.objects.filter(pk=project.pk).values_list("version", "columns", "plan").first()
            if found is None:
                raise ProjectMissing(project=project.name)
            version, columns, plan = found
            with self._guard:
                at_hand = self._cache.get(project.key)
                if at_hand is not None and at_hand[0].version == version:
                    self._cache.move_to_end(project.key)
                    return at_hand[0]
            kept = self._load(ports, project, version, columns, plan)
            if kept is not None:
                return kept

    def change(self, ports: Ports, project: StatisticsProject, change: Change, *, now: datetime) -> None:
        """Commit a change: durable when this returns, and not done at all when it raises.

        Raises what ``change`` raises, Frozen, ProjectMissing.
        """
        pending = _Pending(change)
        with self._slot(project.key) as slot:
            with self._guard:
                slot.queue.append(pending)
            with slot.lock:
                while not pending.done:
                    self._commit(ports, project, self._next(slot), now)
        if pending.error is not None:
            raise pending.error

    def _next(self, slot: _Slot) -> list[_Pending]:
        """The first change that waits, and those behind it that may become one version with it."""
        with self._guard:
            stop = next((i for i, each in enumerate(slot.queue) if each.change.also is not None), len(slot.queue))
            taken, slot.queue = slot.queue[: max(1, stop)], slot.queue[max(1, stop) :]
            return taken

    def _commit(self, ports: Ports, project: StatisticsProject, group: list[_Pending], now: datetime) -> None:
        try:
            for attempt in count():
                if attempt < _PATIENT_ATTEMPTS:
                    committed = self._attempt(ports, project, group, now)
                else:
                    with transaction.atomic():
                        StatisticsProject.objects.select_for_update().filter(pk=project.pk).first()
                        committed = self._attempt(ports, project, group, now)
                if committed:
                    break
        except PlatformError as exc:
            for each in group:
                each.error = each.error or exc
        finally:
            for each in group:
                each.done = True

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
                value, columns = each.change.apply(after)
            except PlatformError as exc:
                each.error = exc
            else:
                after = Kept(kept.version + 1, columns, value)
                good.append(each)
        return not good or self._store(ports, project, kept, after, good, now)

    def _store(
        self, ports: Ports, project: StatisticsProject, before: Kept, after: Kept, group: list[_Pending], now: datetime
    ) -> bool:
        data = encode(after.value)
        blob = f"statistics/{project.key}/{after.version:020d}" if len(data) > INLINE_BYTES else ""
        if blob:
            blob += f"-{id(group):x}"
            ports.blobs.put(blob, data)
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
                    Snapshot.objects.update_or_create(
                        project_id=project.pk,
                        defaults={"version": after.version, "data": None if blob else data, "blob": blob},
                    )
                    for each in group:
                        if each.change.also is not None:
                            each.change.also()
                    if project.on_change:
                        shell.enqueue(ports, project.on_change, str(project.pk), now, version=after.version)
                    # Once committed: what is at hand under a version must be what the database has under it.
                    transaction.on_commit(lambda: self._remember(project.key, after, len(data)))
        except BaseException:
            _discard(ports, blob)
            raise
        if not stored:
            _discard(ports, blob)
            return False
        if blob:
            transaction.on_commit(lambda: _sweep(ports, project.key, after.version), robust=True)
        return True

    def _load(self, ports: Ports, project: StatisticsProject, version: int, columns: Any, plan: Any) -> Kept | None:
        """None when the project moved on meanwhile."""
        if version == 0:
            value, size = Statistics.empty(plan_of(plan)), 0
        else:
            row = Snapshot.objects.filter(project_id=project.pk, version=version).first()
            if row is None:
                return None
            try:
                data = b"".join(ports.blobs.read(row.blob)) if row.blob else bytes(row.data or b"")
            except BlobMissing:
                if Snapshot.objects.filter(project_id=project.pk, version=version).exists():
                    raise
                return None
            value, size = decode(data, foreign=False), len(data)
        kept = Kept(version, tuple((name, letter) for name, letter in columns), value)
        self._remember(project.key, kept, size)
        return kept

    def _remember(self, key: str, kept: Kept, size: int) -> None:
        with self._guard:
            self._cache[key] = kept, 2 * size + 4096
            self._cache.move_to_end(key)
            total = sum(each for _, each in self._cache.values())
            while total > self._cache_bytes and len(self._cache) > 1:
                _, (_, freed) = self._cache.popitem(last=False)
                total -= freed

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


def _discard(ports: Ports, blob: str) -> None:
    if blob:
        ports.blobs.delete(blob)


def _sweep(ports: Ports, key: str, version: int) -> None:
    """Remove what versions before left. A blob of a later version may be about to be committed by another process."""
    for blob in list(ports.blobs.list(f"statistics/{key}/")):
        number = blob.key.rpartition("/")[2].partition("-")[0]
        if number.isdigit() and int(number) < version:
            ports.blobs.delete(blob.key)


KEEPER = Keeper()
