"""Blobs that nothing names: left by processes that were killed between storing and committing, or before deleting.

Mark and sweep with guards: only blobs below our own folders, older than an age that no body on its way reaches, and
named by no row *after* they were listed, are removed. Every other way to name a blob is fresh: keys carry a random
part, but for those of a round that is being combined, which are left alone. So it may run beside any number of webs
and workers, itself included. Folders whose blobs are named otherwise than by a column are asked about of ``Unnamed``.

An age is what two clocks say, and clocks are set, by a day at times. So a job removes only what its process found
before, longer ago than anything is on its way, by a clock that nobody sets.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import islice
from time import monotonic

import structlog
from django.db.models import Model

from foedus.core.rounds import Phase
from foedus.ports import Ports
from foedus.ports.blobs import BlobInfo
from foedus.records.aggregation.models import ModelArtifact, ModelUpdate
from foedus.records.federation.models import Membership, Outgoing, SecureSum, SumMessage, SyncBase
from foedus.records.fleet.models import Submission, TrainingResult
from foedus.records.fusion.models import FusionCell
from foedus.records.learning.models import Checkpoint, Round, Update, Upload
from foedus.records.shell.models import Job
from foedus.records.statistics.models import Part, Snapshot, StatisticsJob
from foedus.services.shell import jobs

log = structlog.get_logger()

COLLECT_JOB = "collect-garbage"
MIN_AGE = timedelta(days=1)  # uploads live for as long
LOOK_AGAIN_S = 900.0
_MOST_SUSPECTS = 100_000  # that are remembered from one job to the next
_BATCH = 2000  # keys that are asked for in one statement, and held at once
_OURS = re.compile(r"projects/([0-9]+)/(?:checkpoints|updates|documents|submissions|results)/.+")
_STATISTICS = re.compile(r"(?:statistics|parts|outgoing)/[0-9a-f]{32}/.+|jobs/[0-9a-f]{32}")
_FOLDERS = ("projects/", "uploads/", "statistics/", "parts/", "outgoing/", "jobs/")
_PART = re.compile(r"uploads/([0-9a-f]{32})/.+")
_NAMES: Mapping[type[Model], tuple[str, ...]] = {
    Checkpoint: ("blob", "state_blob"),
    Update: ("blob",),
    Submission: ("blob",),
    TrainingResult: ("blob",),
    ModelArtifact: ("document",),
    ModelUpdate: ("document", "tensors"),
    Snapshot: ("blob", "beside_blob"),
    Part: ("blob",),
    StatisticsJob: ("blob",),
    FusionCell: ("blob",),
    Membership: ("sent_blob",),
    Outgoing: ("blob",),
    SecureSum: ("own_blob",),
    SumMessage: ("blob",),
    SyncBase: ("blob",),
}

# Of some blobs below a folder, those that nothing names, and that were unnamed before the moment as well.
Unnamed = Callable[[Ports, list[BlobInfo], datetime], Iterable[BlobInfo]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Collected:
    """What was removed, or would be."""

    blobs: int = 0
    size_bytes: int = 0


class _Suspects:
    """What this process found in its last collection, and when it did so first."""

    def __init__(self) -> None:
        self._since: dict[str, float] = {}

    def confirmed(self, blobs: Iterable[BlobInfo]) -> Iterator[BlobInfo]:
        """Those that were found ``LOOK_AGAIN_S`` ago already. Of the others it is kept in mind that they are now."""
        now, before, self._since = monotonic(), self._since, {}
        for blob in blobs:
            since = before.get(blob.key, now)
            if now - since >= LOOK_AGAIN_S:
                yield blob
            elif len(self._since) < _MOST_SUSPECTS:
                self._since[blob.key] = since


_suspects = _Suspects()


def promise_collection(ports: Ports, now: datetime) -> None:
    """Have garbage collected by a job; one that is due already stays alone."""
    jobs.enqueue(ports, COLLECT_JOB, "blobs", now)


def do_collection(ports: Ports, job: Job, more: Mapping[str, Unnamed], *, now: datetime) -> None:
    """Do a "collect-garbage" job. Who takes it over half-way finds less to do."""
    found = Collected()
    for blob in _suspects.confirmed(garbage(ports, now - MIN_AGE, more)):
        ports.blobs.delete(blob.key)
        found = Collected(blobs=found.blobs + 1, size_bytes=found.size_bytes + blob.size_bytes)
    if found.blobs:
        log.info("garbage.collected", blobs=found.blobs, size_bytes=found.size_bytes)
    jobs.complete(job)


def garbage(ports: Ports, older_than: datetime, more: Mapping[str, Unnamed]) -> Iterator[BlobInfo]:
    """The blobs that nothing names and that nobody changed since ``older_than``.

    ``more`` are other folders, and who knows what is named of the blobs in each.
    """
    asked: dict[str, Unnamed] = {**dict.fromkeys(_FOLDERS, _unnamed), **more}
    for prefix, unnamed in asked.items():
        old = (b for b in ports.blobs.list(prefix) if b.changed_at is not None and b.changed_at < older_than)
        while batch := list(islice(old, _BATCH)):
            yield from unnamed(ports, batch, older_than)


def _unnamed(ports: Ports, batch: list[BlobInfo], older_than: datetime) -> Iterator[BlobInfo]:  # noqa: ARG001
    """Those of the batch that no row names now, a moment after they were listed."""
    # Before names are: what a round stored while it was being combined is named by the time that it no longer is.
    combining = set(Round.objects.filter(phase=Phase.COMBINING).values_list("project_id", flat=True))
    named = _named(blob.key for blob in batch)
    uploads = {part[1] for blob in batch if (part := _PART.fullmatch(blob.key))}
    open_uploads = set(Upload.objects.filter(pk__in=uploads, update=None).values_list("pk", flat=True))
    for blob in batch:
        part, ours = _PART.fullmatch(blob.key), _OURS.fullmatch(blob.key)
        if part is not None and part[1] not in open_uploads:
            yield blob
        if ours is not None and blob.key not in named and int(ours[1]) not in combining:
            yield blob
        if _STATISTICS.fullmatch(blob.key) and blob.key not in named:
            yield blob


def _named(keys: Iterable[str]) -> set[str]:
    wanted = list(keys)
    named: set[str] = set()
    for table, columns in _NAMES.items():
        for column in columns:
            rows = table._default_manager.filter(**{f"{column}__in": wanted})  # noqa: SLF001 - Django's public name
            named |= set(rows.values_list(column, flat=True))
    return named
