"""Which service does which kind of job, and what the clock does."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from functools import partial
from typing import Protocol

from foedus import bootstrap
from foedus.ports import Ports
from foedus.ports.blobs import BlobInfo
from foedus.ports.ledger import NoLedger
from foedus.records.fleet.queries import FACE
from foedus.records.shell.models import Job
from foedus.services.customers.requests import forget_seen
from foedus.services.federation.promises import CHANGED_JOB, PULSE_JOB
from foedus.services.fleet import notifying, promises, questionnaires
from foedus.services.fleet.options import FleetOptions
from foedus.services.fleet.tick import housekeeping
from foedus.services.learning import clock
from foedus.services.learning.combining import abandon, combine
from foedus.services.learning.evaluating import abandon_evaluation, evaluate_checkpoint
from foedus.services.learning.measuring import EVALUATE_JOB
from foedus.services.learning.removal import DELETE_BLOBS_JOB, delete_blobs
from foedus.services.learning.retaining import RETAIN_JOB, promise_all_retention, retain
from foedus.services.learning.rounds import COMBINE_JOB
from foedus.services.market.promises import (
    FOLDER,
    LEAD_JOB,
    RUN_JOB,
    SETTLE_JOB,
    UPLOADS,
    promise_settlement,
)
from foedus.services.shell import jobs
from foedus.services.shell.garbage import COLLECT_JOB, Unnamed, do_collection, promise_collection
from foedus.services.shell.sessions import forget_sessions
from foedus.services.statistics import jobs as statistics_jobs

HOUSEKEEPING_EVERY_S = 60.0
COLLECT_EVERY_S = 3600.0


class Handler(Protocol):
    def __call__(self, ports: Ports, job: Job, *, now: datetime) -> None: ...


def combine_and_evaluate(ports: Ports, job: Job, *, now: datetime) -> None:
    """Combine, then promise to look at what came of it; a promise lost to a crash is made up for by the clock."""
    combine(ports, job, now=now)
    if job.payload.get("face", FACE) == FACE:
        promises.enqueue_missing(ports, now)


# What only some servers do is imported with the first job of its kind: they start sooner, and with less memory.


def evaluate_fleet(ports: Ports, job: Job, *, now: datetime) -> None:
    from foedus.services.fleet.evaluation import evaluate  # and with it NumPy's random numbers

    evaluate(ports, job, now=now)


def run_statistics_job(ports: Ports, job: Job, *, now: datetime) -> None:
    from foedus.services.statistics.running import run_statistics_job as run

    run(ports, job, now=now)


def follow_stream(ports: Ports, job: Job, *, now: datetime) -> None:
    from foedus.services.statistics.following import follow_stream as follow

    follow(ports, job, now=now)


def abandon_stream(ports: Ports, job: Job, *, now: datetime) -> None:
    from foedus.services.statistics.following import abandon_stream as abandon_it

    abandon_it(ports, job, now=now)


def pulse_on(ports: Ports, job: Job, *, now: datetime) -> None:
    from foedus.services.federation.exchanging import pulse_on as pulse

    pulse(ports, job, now=now)


def abandon_pulse(ports: Ports, job: Job, *, now: datetime) -> None:
    from foedus.services.federation.exchanging import abandon_pulse as abandon_it

    abandon_it(ports, job, now=now)


def tell_changed(ports: Ports, job: Job, *, now: datetime) -> None:
    from foedus.services.federation.exchanging import changed

    changed(ports, job, now=now)


def run_execution(ports: Ports, job: Job, *, now: datetime) -> None:
    from foedus.services.market.running import run  # needs the market's extra

    run(ports, job, max_input_bytes=bootstrap.settings().market_run_input_bytes, now=now)


def lead_session(ports: Ports, job: Job, *, now: datetime) -> None:
    from foedus.faces.nevermined.sessions import listening  # likewise
    from foedus.services.market.leading import Place, lead

    options = bootstrap.settings()
    serve = partial(listening, host=options.sessions_host, is_open=options.sessions_open)
    named = "127.0.0.1" if options.sessions_host in ("0.0.0.0", "::") else options.sessions_host  # noqa: S104 - compared
    lead(ports, job, Place(serve=serve, host=named, max_bytes=options.max_model_bytes), now=now)


def settle_market(ports: Ports, job: Job, *, now: datetime) -> None:
    from foedus.services.market.settling import settle_due

    settle_due(ports, now=now)
    jobs.complete(job)


def abandon_execution(ports: Ports, job: Job, *, now: datetime) -> None:
    from foedus.services.market.running import abandon

    abandon(ports, job, now=now)


def collect_garbage(ports: Ports, job: Job, *, now: datetime) -> None:
    do_collection(ports, job, folders(ports), now=now)


def folders(ports: Ports) -> Mapping[str, Unnamed]:
    """Folders of blobs that other parts know best, and what in them is named."""
    if isinstance(ports.ledger, NoLedger):
        return {}
    return {FOLDER: _unnamed, UPLOADS: _Unlisted()}


# Both need the market's extra, and are imported once there is a blob of theirs.


def _unnamed(ports: Ports, batch: list[BlobInfo], older_than: datetime) -> Iterable[BlobInfo]:
    from foedus.services.market.garbage import unnamed

    return unnamed(ports, batch, older_than)


class _Unlisted:
    """In one collection."""

    def __init__(self) -> None:
        self._unlisted: Unnamed | None = None

    def __call__(self, ports: Ports, batch: list[BlobInfo], older_than: datetime) -> Iterable[BlobInfo]:
        if self._unlisted is None:
            from foedus.services.market.garbage import Unlisted

            self._unlisted = Unlisted()
        return self._unlisted(ports, batch, older_than)


HANDLERS: Mapping[str, Handler] = {
    COMBINE_JOB: combine_and_evaluate,
    COLLECT_JOB: collect_garbage,
    DELETE_BLOBS_JOB: delete_blobs,
    EVALUATE_JOB: evaluate_checkpoint,
    RETAIN_JOB: retain,
    promises.EVALUATE_JOB: evaluate_fleet,
    notifying.INVITED_JOB: notifying.notify,
    questionnaires.QUESTIONNAIRE_JOB: questionnaires.send,
    statistics_jobs.RUN_JOB: run_statistics_job,
    statistics_jobs.RUN_LONG_JOB: run_statistics_job,
    statistics_jobs.FOLLOW_JOB: follow_stream,
    PULSE_JOB: pulse_on,
    CHANGED_JOB: tell_changed,
    RUN_JOB: run_execution,
    LEAD_JOB: lead_session,
    SETTLE_JOB: settle_market,
}
# What follows when a job is given up, so that nobody waits for it for ever.
ABANDONED: Mapping[str, Handler] = {
    COMBINE_JOB: abandon,
    EVALUATE_JOB: abandon_evaluation,
    statistics_jobs.RUN_JOB: statistics_jobs.abandon,
    statistics_jobs.RUN_LONG_JOB: statistics_jobs.abandon,
    statistics_jobs.FOLLOW_JOB: abandon_stream,
    PULSE_JOB: abandon_pulse,
    RUN_JOB: abandon_execution,
    LEAD_JOB: abandon_execution,
}
# How often a job whose world does not answer is tried: customers are rather told after some three minutes, and rounds
# wait as long as others do, though they are tried more often.
PATIENCE: Mapping[str, int] = {COMBINE_JOB: 120_000, statistics_jobs.RUN_JOB: 10, statistics_jobs.RUN_LONG_JOB: 10}
# The longest pause between two tries, in seconds, where everybody waits: what is back must be noticed soon.
PAUSES_S: Mapping[str, float] = {COMBINE_JOB: 5.0}
# What nobody's round waits for: done beside the rest, so that it holds up nothing.
SLOW = frozenset(
    {
        COLLECT_JOB,
        DELETE_BLOBS_JOB,
        EVALUATE_JOB,
        RETAIN_JOB,
        SETTLE_JOB,
        promises.EVALUATE_JOB,
        statistics_jobs.RUN_JOB,
    }
)
# Statistics on their way to a federation: others wait for them.
SENDING = frozenset({CHANGED_JOB})

# What waits for machines of others, for hours if need be: it has threads of its own.
LONG = frozenset({statistics_jobs.RUN_LONG_JOB})
# Programs of others, each as long as was bought: likewise.
RUNS = frozenset({RUN_JOB})
# Sessions, as long as their participants take: likewise.
SESSIONS = frozenset({LEAD_JOB})
# What never ends: likewise.
ENDLESS = frozenset({statistics_jobs.FOLLOW_JOB, PULSE_JOB})


def do_due(ports: Ports, now: datetime) -> int:
    """Do whatever is due at ``now``, where time is what the caller says; how many jobs. What goes wrong is raised."""
    done = 0
    while (job := jobs.claim(now)) is not None:
        HANDLERS[job.kind](ports, job, now=now)
        done += 1
    return done


class Clockwork:
    """What the clock does every time, what it does every minute, and what every hour."""

    def __init__(self) -> None:
        self._kept_house_at: datetime | None = None
        self._ticked_at: datetime | None = None
        self._collected_at: datetime | None = None

    def tick(self, ports: Ports, *, now: datetime) -> None:
        if self._ticked_at is None or now < self._ticked_at:
            clock.set_right(now=now)
            jobs.set_right(ports, now)
        self._ticked_at = now
        clock.tick(ports, now=now)
        promise_market(ports, now)
        last = self._kept_house_at
        if last is None or abs((now - last).total_seconds()) >= HOUSEKEEPING_EVERY_S:
            housekeeping(ports, fleet_options(), now=now)
            forget_seen(now)
            forget_sessions(now)
            statistics_jobs.remove_expired(now)
            self._kept_house_at = now
        if self._collected_at is None or abs((now - self._collected_at).total_seconds()) >= COLLECT_EVERY_S:
            promise_collection(ports, now)
            promise_all_retention(ports, now)
            self._collected_at = now


def promise_market(ports: Ports, now: datetime) -> None:
    """Have released and refunded what is due, where there is a market."""
    if not isinstance(ports.ledger, NoLedger):
        promise_settlement(ports, now=now)


def fleet_options() -> FleetOptions:
    """What the settings say about fleets."""
    options = bootstrap.settings()
    return FleetOptions(
        report_days=options.flaas_report_days,
        model_days=options.flaas_model_days,
        questionnaire_hours=options.flaas_questionnaire_hours,
        questionnaire_title=options.flaas_questionnaire_title,
        questionnaire_text=options.flaas_questionnaire_text,
        questionnaire_icon=options.flaas_questionnaire_icon,
    )
