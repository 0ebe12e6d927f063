"""Updates whose bytes are stored: counted exactly once, and what follows from the one that was missing."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from math import isfinite
from typing import Any

from django.db.models import Max

from foedus.core.errors import Invalid, Replayed
from foedus.ports import Ports
from foedus.records.learning.changes import add_update, note_reported, note_seen
from foedus.records.learning.counting import count_update
from foedus.records.learning.models import Checkpoint, Membership, Project, Update
from foedus.records.learning.queries import (
    find_invitation,
    find_latest_checkpoint,
    find_open_round,
    find_update_of_content,
)
from foedus.services.learning.admission import admission, admit
from foedus.services.learning.looking import Look
from foedus.services.learning.metrics import check_metrics, numbers
from foedus.services.learning.opening import open_round
from foedus.services.learning.rounds import advance
from foedus.services.learning.rules import policy_of
from foedus.services.shell.events import emit

MAX_EXAMPLES = 1e12


@dataclass(frozen=True, slots=True, kw_only=True)
class SubmitUpdate:
    """One participant's update for the round that its task named. ``examples`` is its weight."""

    project: str
    round: int
    examples: float
    metrics: Mapping[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not (isfinite(self.examples) and 0 < self.examples <= MAX_EXAMPLES):
            raise Invalid(f"examples must be a number above 0 and at most {MAX_EXAMPLES:g}", field="examples")
        check_metrics(self.metrics)


@dataclass(frozen=True, slots=True)
class Stored:
    """A body that is kept for good: ``blob`` holds it as safetensors, ``digest`` tells its content from others.

    ``content`` is the body itself, of one that is kept with its row instead of in a blob.
    """

    blob: str
    digest: str
    size_bytes: int
    content: bytes | None = None


def record_update(
    ports: Ports, project: Project, membership: Membership, command: SubmitUpdate, body: Stored, *, now: datetime
) -> tuple[Update, bool]:
    """Count an update whose checked body is stored already, and let the round move on. Gives it and whether it is new.

    The caller holds the project's lock. Raises Forbidden, Late, Replayed, NotFound, before anything is written.
    """
    if (known := find_same(membership, command, body.digest)) is not None:
        return known, False
    admitted = admission(project, membership, command.round, now)
    current = admitted.round
    update = add_update(
        round=current,
        membership=membership,
        task_round=command.round,
        sequence=admitted.sequence,
        base=admitted.base,
        staleness=admitted.staleness,
        examples=command.examples,
        digest=body.digest,
        size_bytes=body.size_bytes,
        blob=body.blob,
        content=body.content,
        metrics=dict(command.metrics),
        accepted_at=now,
    )
    count_update(current, first=admitted.first, was_lost=admitted.was_lost)
    if admitted.invitation is not None:
        note_reported(admitted.invitation, now)
    note_seen(membership, now)
    emit(ports, project, "update.accepted", now, **told_of(update))
    advance(ports, project, now, look=Look.after_update(membership), current=current)
    return update, True


def admit_update(
    ports: Ports,
    project: Project,
    membership: Membership,
    base: Checkpoint,
    stored: Stored,
    *,
    examples: float,
    metrics: Mapping[str, float],
    now: datetime,
) -> Update:
    """Count a checked and stored update in the open round, which is opened if there is none.

    For dialects whose updates name no round; works while a project is paused, too. The caller holds the project's lock
    and calls ``advance`` afterwards. Raises Unavailable while the round is being combined, and what the policy raises.
    """
    current = find_open_round(project) or open_round(ports, project, now)
    latest = find_latest_checkpoint(project)
    staleness = latest.number - base.number if latest else 0
    mine = Update.objects.filter(membership=membership, task_round=current.number)
    earlier = Update.objects.filter(membership=membership, round=current).count()
    invitation = find_invitation(membership, current.number)
    asked = None if invitation is None else invitation.state
    admit(current, policy_of(current), membership, asked, current.number, staleness, earlier, now)
    newest = mine.aggregate(newest=Max("sequence"))["newest"]
    update = add_update(
        round=current,
        membership=membership,
        task_round=current.number,
        sequence=0 if newest is None else newest + 1,
        base=base,
        staleness=staleness,
        examples=examples,
        metrics=dict(metrics),
        digest=stored.digest,
        size_bytes=stored.size_bytes,
        blob=stored.blob,
        content=stored.content,
        accepted_at=now,
    )
    count_update(current, first=earlier == 0, was_lost=False)
    note_seen(membership, now)
    emit(ports, project, "update.accepted", now, **told_of(update))
    return update


def told_of(update: Update) -> dict[str, Any]:
    """What those who watch the project are told of an update."""
    member = update.membership
    return {
        "round": update.round.number,
        "participant": member.participant.name,
        "participant_id": member.participant_id,
        "examples": update.examples,
        "metrics": update.metrics,
    }


def find_same(membership: Membership, command: SubmitUpdate, digest: str) -> Update | None:
    """The update that ``command`` repeats, if any. Raises Replayed when it says something else about its bytes."""
    known = find_update_of_content(membership, command.round, digest)
    if known is not None:
        known.membership = membership  # read already, with its participant, whom receipts name
        check_same(known, command)
    return known


def check_same(known: Update, command: SubmitUpdate) -> None:
    """Raise Replayed unless ``command`` says of the update what was said of it when it was accepted."""
    if known.examples != command.examples or numbers(known.metrics) != numbers(command.metrics):
        raise Replayed(
            f"you handed in this update for round {known.task_round} before, with other examples or metrics;"
            " it stays as it was",
            round=known.task_round,
        )
