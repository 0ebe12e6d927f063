"""Learning what a source holds: batch by batch into statistics of their own, which join the project's at once.

A worker that dies half-way leaves nothing behind; the next one begins anew, and the rows are counted once.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from django.db import transaction

from foedus.core.companions import Beside
from foedus.core.errors import Invalid, PlatformError, Unavailable
from foedus.core.statistics import Statistics
from foedus.core.symetryml.frames import Letter, numbers
from foedus.core.symetryml.rows import Rows
from foedus.ports import Ports
from foedus.ports.sources import SourceRefuses
from foedus.records.sources.models import SourceUse
from foedus.records.statistics.models import StatisticsProject
from foedus.services.statistics import encoding, learning, sources
from foedus.services.statistics.harvests import Harvest
from foedus.services.statistics.jobs import Running
from foedus.services.statistics.keeping import KEEPER
from foedus.services.statistics.learning import known_letters
from foedus.services.statistics.plans import declared_of, plan_of

ATTEMPTS = 5  # to reach a source
MAX_USES = 10_000  # that are kept of a project


@dataclass(slots=True)
class Gathered:
    """What was read so far. ``letters``: types that were told; others are guessed from the first rows they are in."""

    ports: Ports
    project: StatisticsProject
    letters: Mapping[str, str] = field(default_factory=dict)
    skip_bad_rows: bool = False
    harvest: Harvest = field(init=False)
    _known: dict[str, str] = field(init=False)

    def __post_init__(self) -> None:
        nothing = Beside.empty(declared_of(self.project)).summaries
        self.harvest = Harvest(Statistics.empty(plan_of(self.project.plan)), parts=nothing)
        known = known_letters(KEEPER.read(self.ports, self.project))
        self._known = {name: letter.value for name, letter in known.items()} | dict(self.letters)

    def take(self, rows: Rows) -> None:
        """Raises Invalid, TooLarge, Conflict; then nothing of these rows was taken."""
        known = dict(self._known)
        for place, name in enumerate(rows.names):
            if name not in known:
                told = rows.letters[place] if rows.letters else None
                known[name] = told or guessed([row[place] for row in rows.data])
        frame = rows.frame([known[name] for name in rows.names])
        if self.skip_bad_rows:
            frame["errorHandling"] = 1
        found = learning.summarised(self.ports, self.project, frame)
        self.harvest, self._known = self.harvest.joined(found, declared_of(self.project)), known


def guessed(cells: Iterable[object]) -> str:
    """The type of a column that nobody named: truth values are binary, numbers continuous, the rest a category."""
    found = [cell for cell in cells if cell is not None]
    if found and all(isinstance(cell, bool) for cell in found):
        return Letter.BINARY.value
    try:
        numbers("", found, binary=False)
    except Invalid:
        return Letter.CATEGORY.value
    return Letter.CONTINUOUS.value


def learn_source(job: Running) -> None:
    """The rows, the end of the job and the note of it are one transaction."""
    _take_source(job, "learn")


def forget_source(job: Running) -> None:
    """As ``learn_source``, the other way round."""
    _take_source(job, "forget")


def learn_encoder_source(job: Running) -> None:
    """All rows of a source into an encoder, or none. The source was told in the request, and is kept only for it."""
    told = job.body()
    encoder = encoding.find_encoder(job.row.customer, job.row.payload["encoder"])
    gathered = encoding.Values(encoder.target, encoder.target_type)
    letters: dict[str, str] = {}

    def take(rows: Rows) -> None:
        for place, name in enumerate(rows.names):
            letters.setdefault(name, guessed([row[place] for row in rows.data]))
        gathered.take(rows.frame([letters[name] for name in rows.names]))

    _read(job, sources.Place(told["type"], told["name"], told["info"], told["extra"]), take)
    with transaction.atomic():
        encoding.add_values(job.row.customer, encoder.name, gathered)
        job.done(rows=gathered.rows)


def _take_source(job: Running, kind: str) -> None:
    payload = job.row.payload
    row = sources.find_source(job.row.customer, payload["source"])
    use = SourceUse(project=job.project, source=row.name, source_kind=row.kind, kind=kind, at=job.now)
    try:
        place = sources.place_of(job.ports, row)
        gathered = Gathered(
            job.ports, job.project, payload.get("letters") or {}, bool(payload.get("skip")) or _skips(place.extra)
        )
        _read(job, place, gathered.take)
        harvest = gathered.harvest
        use.status, use.rows, use.skipped = "ok", harvest.rows, harvest.skipped

        def also() -> None:
            job.done(rows=harvest.rows, skipped=harvest.skipped)
            use.save(force_insert=True)

        learning.change(job.ports, job.project, harvest, kind, now=job.now, also=also)
    except Unavailable as exc:
        if job.lease.attempts < ATTEMPTS:
            raise
        _note_failure(use, exc, payload)
        raise SourceRefuses(f"given up after {ATTEMPTS} attempts: {exc.message}") from exc
    except PlatformError as exc:
        _note_failure(use, exc, payload)
        raise
    learning.count(job.project, payload.get("client", ""), kind, "ok", harvest.rows, job.now)
    _prune(job.project)


def _read(job: Running, place: sources.Place, take: Callable[[Rows], None]) -> None:
    told = -1
    with sources.opened(job.ports, place) as reading:
        for rows in reading.rows:
            take(rows)
            done, size = reading.progress()
            percent = min(99, 100 * done // size) if size else 0
            if percent != told:
                told = percent
                job.report(percent, 100)


def _note_failure(use: SourceUse, exc: PlatformError, payload: Mapping[str, str]) -> None:
    use.status, use.error = "failed", exc.message[:500]
    if StatisticsProject.objects.filter(pk=use.project_id).exists():
        use.save(force_insert=True)
        learning.count(use.project, payload.get("client", ""), use.kind, "failed", 0, use.at)


def _prune(project: StatisticsProject) -> None:
    oldest = SourceUse.objects.filter(project=project).order_by("-pk").values_list("pk", flat=True)[MAX_USES:][:1]
    for pk in oldest:
        SourceUse.objects.filter(project=project, pk__lte=pk).delete()


def _skips(extra: Mapping[str, object]) -> bool:
    return str(extra.get("errorHandling")) == "1"
