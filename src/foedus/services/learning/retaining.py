"""What a project keeps of its past: bytes that its retention drops go; what is known of them stays.

Projects of other dialects keep their files by the rules of those. The defaults: every checkpoint stays, and single
updates go once the round that combined them is complete, because nothing needs them any more and they tell of people.
"""

from datetime import datetime
from functools import partial

from django.db import transaction
from django.db.models import Exists, OuterRef

from foedus.core.options import construct
from foedus.core.retention import Retention
from foedus.core.rounds import Phase
from foedus.ports import Ports
from foedus.records.learning.models import OPEN_PHASES, Artifact, Checkpoint, Invitation, Project, Round, Update
from foedus.records.learning.queries import lock_project
from foedus.records.shell.models import Job
from foedus.services.learning.invitations import NATIVE
from foedus.services.learning.measuring import PENDING, find_model, ranking
from foedus.services.shell import jobs
from foedus.services.shell.events import emit

RETAIN_JOB = "retain"
SOON_S = 5.0  # for several rounds at once, where they are short
_AT_ONCE = 500  # rows in a transaction, so that nobody waits long for the project's lock


def retention_of(project: Project) -> Retention:
    kept: Retention = construct(Retention, project.retention or {}, "retention")
    return kept


def promise_retention(ports: Ports, project: Project, now: datetime) -> None:
    """Have what the project need not keep dropped, by a job of the caller's transaction; none where all is to stay."""
    if project.face == NATIVE and not retention_of(project).drops_nothing:
        jobs.enqueue(ports, RETAIN_JOB, str(project.pk), now, after_s=SOON_S, project=project.pk)


def promise_all_retention(ports: Ports, now: datetime) -> None:
    """The same for every project that may have something to drop: what time alone makes superfluous, for one."""
    with_updates = Project.objects.filter(face=NATIVE).filter(
        Exists(Update.objects.filter(round__project=OuterRef("pk")).exclude(blob="", content=None))
    )
    with_rules = Project.objects.filter(face=NATIVE, retention__isnull=False)
    for project in with_updates.union(with_rules).iterator():
        promise_retention(ports, project, now)


def retain(ports: Ports, job: Job, *, now: datetime) -> None:
    """Do a "retain" job. What a crash leaves behind, named by nothing, the collection of garbage finds."""
    while True:
        with transaction.atomic():
            found = Project.objects.select_for_update().filter(pk=job.payload["project"]).first()
            if found is None or not _drop_some(ports, lock_project(found.pk), now):
                jobs.complete(job)
                return


def _drop_some(ports: Ports, project: Project, now: datetime) -> bool:
    """Drop a batch; whether there may be more."""
    rule = retention_of(project)
    updates = _past_updates(project, rule)[:_AT_ONCE]
    blobs = [update.blob for update in updates]
    Update.objects.filter(pk__in=[update.pk for update in updates]).update(blob="", content=None)
    numbers = _past_checkpoints(project, rule, now)[:_AT_ONCE]
    rows = Checkpoint.objects.filter(project=project, number__in=numbers)
    blobs += [blob for pair in rows.values_list("blob", "state_blob") for blob in pair]
    rows.update(blob="", state_blob="")
    if numbers:
        emit(ports, project, "checkpoints.dropped", now, checkpoints=numbers)
    transaction.on_commit(partial(ports.blobs.delete, *filter(None, blobs)))
    return len(updates) == _AT_ONCE or len(numbers) == _AT_ONCE


def _past_updates(project: Project, rule: Retention) -> list[Update]:
    """Updates of closed rounds, but for those of the newest complete ones that are to stay."""
    if rule.keep_updates is None:
        return []
    complete = Round.objects.filter(project=project, phase=Phase.COMPLETE).order_by("-number")
    since = complete.values_list("number", flat=True)[: rule.keep_updates]
    first = min(since, default=None) if rule.keep_updates else None
    rows = (
        Update.objects.filter(round__project=project)
        .exclude(round__phase__in=OPEN_PHASES)
        .exclude(blob="", content=None)
    )
    if first is not None:
        rows = rows.filter(round__number__lt=first)
    return list(rows.only("pk", "blob").order_by("pk")[:_AT_ONCE])


def _past_checkpoints(project: Project, rule: Retention, now: datetime) -> list[int]:
    if rule.keeps_all:
        return []
    there = Checkpoint.objects.filter(project=project).exclude(blob="")
    return rule.dropped(there.values_list("number", "created_at"), ranking(project), _needed(project), now)


def _needed(project: Project) -> set[int]:
    """Whatever the options say: what somebody trains from, what open rounds hold, and what has a name."""
    rows = Checkpoint.objects.filter(project=project)
    used = (
        rows.filter(rounds_from__phase__in=OPEN_PHASES),
        rows.filter(rounds_from__in=Invitation.objects.filter(state=Invitation.State.OPEN).values("round")),
        rows.filter(updates_from__round__phase__in=OPEN_PHASES),
        rows.filter(pk__in=Artifact.objects.filter(project=project).values("checkpoint")),
        rows.filter(evaluation__state=PENDING),
    )
    needed = {number for found in used for number in found.values_list("number", flat=True)}
    model = find_model(project)
    return needed | ({model.number} if model is not None else set())
