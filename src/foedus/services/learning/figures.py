"""What a service that watches this one wants to know, as numbers under names: of a bounded number of series."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from django.db.models import Count, Min, Q, Sum

from foedus.core.errors import Forbidden
from foedus.records.learning.models import OPEN_PHASES, Checkpoint, Membership, Project, Round, Update
from foedus.records.shell.models import Job
from foedus.services.learning.waiting import reasons_of
from foedus.services.shell.authorisation import Actor

MAX_PROJECTS = 100  # whose reasons are looked up: that costs a count of each one's round
MAX_CODES = 40  # series of one name; what is beyond is called "other"


@dataclass(frozen=True, slots=True)
class Sample:
    labels: Mapping[str, str]
    value: float


@dataclass(frozen=True, slots=True)
class Family:
    """Numbers of one kind; ``help`` says what they count."""

    name: str
    help: str
    samples: tuple[Sample, ...]


def gather(now: datetime) -> list[Family]:
    """The figures of the whole service, as its tables have them."""
    return [
        _family("foedus_projects", "Projects by state.", "state", _by(Project, "state")),
        _family("foedus_rounds", "Rounds by phase.", "phase", _by(Round, "phase")),
        _family("foedus_participants", "Memberships of projects by state.", "state", _by(Membership, "state")),
        _one("foedus_updates", "Updates that rounds have counted.", _sum(Round, "update_count")),
        _one("foedus_events", "Events written to projects that are there.", _sum(Project, "event_seq")),
        _ages(now),
        _waits(now),
        Family("foedus_jobs", "Jobs by kind and state; queued ones are the depth of the queue.", _jobs()),
        _one("foedus_job_overdue_seconds", "How long the job has waited that is due the longest.", _overdue_s(now)),
        _bytes(),
    ]


def require_watcher(actor: Actor) -> None:
    """Figures are of all organisations. Raises Forbidden for all but superusers."""
    if not actor.superuser:
        raise Forbidden("only superusers, and whoever has the token of FOEDUS_METRICS_TOKEN, read the metrics")


def _by(table: type[Project | Round | Membership], column: str) -> dict[str, float]:
    rows = table._default_manager.values(column).annotate(n=Count("pk"))  # noqa: SLF001 - Django's public name
    return {row[column]: row["n"] for row in rows.order_by(column)}


def _sum(table: type[Project | Round], column: str) -> float:
    total = table._default_manager.aggregate(total=Sum(column))["total"]  # noqa: SLF001
    return float(total or 0)


def _ages(now: datetime) -> Family:
    rows = Round.objects.filter(phase__in=OPEN_PHASES).values("phase").annotate(since=Min("opened_at"))
    ages = {row["phase"]: max(0.0, (now - row["since"]).total_seconds()) for row in rows.order_by("phase")}
    return _family("foedus_round_age_seconds", "Age of the oldest round that is open.", "phase", ages)


def _waits(now: datetime) -> Family:
    """By the first reason of each running project."""
    running = Project.objects.filter(state=Project.State.RUNNING).order_by("-pk")[:MAX_PROJECTS]
    codes = Counter(reasons_of(project, now, named=False)[0].code for project in running)
    named = dict(sorted(codes.most_common(MAX_CODES)))
    if len(codes) > MAX_CODES:
        named["other"] = codes.total() - sum(named.values())
    return _family("foedus_waits", "Running projects by what they wait for, of the newest 100.", "reason", named)


def _jobs() -> tuple[Sample, ...]:
    rows = Job.objects.values("kind", "state").annotate(n=Count("pk")).order_by("kind", "state")[:MAX_CODES]
    return tuple(Sample({"kind": row["kind"], "state": row["state"]}, row["n"]) for row in rows)


def _overdue_s(now: datetime) -> float:
    due = Job.objects.filter(Q(state=Job.State.QUEUED), run_at__lte=now).aggregate(at=Min("run_at"))["at"]
    return (now - due).total_seconds() if due else 0.0


def _bytes() -> Family:
    kept = {
        "checkpoints": Checkpoint.objects.exclude(blob="").aggregate(n=Sum("size_bytes"))["n"] or 0,
        "updates": Update.objects.exclude(blob="", content=None).aggregate(n=Sum("size_bytes"))["n"] or 0,
    }
    return _family("foedus_blob_bytes", "Bytes of models and updates that are kept.", "kind", kept)


def _family(name: str, text: str, label: str, values: Mapping[str, float]) -> Family:
    return Family(name, text, tuple(Sample({label: key}, value) for key, value in values.items()))


def _one(name: str, text: str, value: float) -> Family:
    return Family(name, text, (Sample({}, value),))
