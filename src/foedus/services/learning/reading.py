"""Looking at projects: each function asks for leave, then answers in a number of queries that no list makes grow."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from foedus.core.rounds import Reason
from foedus.records.learning.counting import RoundCounts, round_counts
from foedus.records.learning.models import (
    Artifact,
    Checkpoint,
    Draw,
    Invitation,
    Membership,
    Project,
    Round,
    Score,
    Update,
)
from foedus.records.learning.queries import (
    get_project,
    get_round,
    member_counts,
    newest_checkpoints,
    newest_rounds,
    open_invitations,
)
from foedus.services.learning.measuring import find_model
from foedus.services.learning.waiting import reasons_of, reasons_of_round
from foedus.services.shell.authorisation import Actor, Verb, may, organisation_of, require, visible_projects
from foedus.services.shell.pages import Page, Window, page_of


@dataclass(frozen=True, slots=True, kw_only=True)
class RoundStatus:
    """A round and what it waits for, or how it ended."""

    round: Round
    reasons: tuple[Reason, ...]
    counts: RoundCounts


@dataclass(frozen=True, slots=True, kw_only=True)
class ProjectStatus:
    """A project, what it waits for, and the newest of what it made."""

    project: Project
    reasons: tuple[Reason, ...]
    round: RoundStatus | None
    checkpoint: Checkpoint | None
    model: int | None
    participants: int


@dataclass(frozen=True, slots=True, kw_only=True)
class MemberStatus:
    """A member; ``waiting_for`` says what the project expects of it, or why it cannot be invited."""

    membership: Membership
    waiting_for: Reason | None


@dataclass(frozen=True, slots=True, kw_only=True)
class DrawStatus:
    """A draw with the participants of its pool, in its order; None for one that is gone."""

    draw: Draw
    pool: list[int | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Self:
    """Who is asking, where it belongs, and the keys of the projects that it may see."""

    actor: Actor
    organisation: str | None
    projects: list[str]


def describe(actor: Actor) -> Self:
    organisation = organisation_of(actor)
    keys = visible_projects(actor).order_by("key").values_list("key", flat=True)
    return Self(actor=actor, organisation=organisation.name if organisation else None, projects=list(keys))


def list_projects(actor: Actor, window: Window, *, now: datetime) -> Page[ProjectStatus]:
    """The projects that the actor may see, oldest first."""
    page = page_of(visible_projects(actor), window)
    return Page(_project_statuses(actor, page.items, now), page.next)


def read_project(actor: Actor, key: str, *, now: datetime) -> ProjectStatus:
    """Raises NotFound."""
    return _project_statuses(actor, [_readable(actor, key)], now)[0]


def list_rounds(actor: Actor, key: str, window: Window, *, now: datetime) -> Page[RoundStatus]:
    """A project's rounds, newest first."""
    project = _readable(actor, key)
    rows = Round.objects.filter(project=project).select_related("base", "checkpoint")
    page = page_of(rows, window, by="number", newest_first=True)
    return Page(_round_statuses(actor, project, page.items, now), page.next)


def read_round(actor: Actor, key: str, number: int, *, now: datetime) -> RoundStatus:
    """Raises NotFound."""
    project = _readable(actor, key)
    return _round_statuses(actor, project, [get_round(project, number)], now)[0]


def list_updates(actor: Actor, key: str, number: int, window: Window) -> Page[Update]:
    """The updates that a round counts, in the order of their arrival. Raises NotFound, Forbidden."""
    project = _inspected(actor, key)
    rows = Update.objects.filter(round=get_round(project, number)).select_related("membership__participant")
    return page_of(rows, window)


def list_invitations(actor: Actor, key: str, number: int, window: Window) -> Page[Invitation]:
    """Who was asked to train for a round, and what came of it. Raises NotFound, Forbidden."""
    project = _inspected(actor, key)
    rows = Invitation.objects.filter(round=get_round(project, number)).select_related("membership__participant")
    return page_of(rows, window)


def list_draws(actor: Actor, key: str, number: int, window: Window) -> Page[DrawStatus]:
    """How a round chose among those that were ready, in the order of the draws. Raises NotFound, Forbidden."""
    project = _inspected(actor, key)
    page = page_of(Draw.objects.filter(round=get_round(project, number)), window)
    members = {pk for draw in page.items for pk in draw.pool}
    people = dict(Membership.objects.filter(pk__in=members).values_list("pk", "participant_id"))
    return Page([DrawStatus(draw=d, pool=[people.get(pk) for pk in d.pool]) for d in page.items], page.next)


def list_checkpoints(actor: Actor, key: str, window: Window) -> Page[Checkpoint]:
    """A project's checkpoints, newest first."""
    return page_of(Checkpoint.objects.filter(project=_readable(actor, key)), window, by="number", newest_first=True)


def list_scores(actor: Actor, key: str, checkpoint: int | None, window: Window) -> Page[Score]:
    """What participants and operators said of a checkpoint, or of all. Raises NotFound, Forbidden."""
    rows = Score.objects.filter(checkpoint__project=_inspected(actor, key))
    if checkpoint is not None:
        rows = rows.filter(checkpoint__number=checkpoint)
    return page_of(rows.select_related("checkpoint", "membership__participant"), window)


def list_artifacts(actor: Actor, key: str, window: Window) -> Page[Artifact]:
    """A project's published versions, oldest first."""
    return page_of(Artifact.objects.filter(project=_readable(actor, key)).select_related("checkpoint"), window)


def list_participants(actor: Actor, key: str, window: Window) -> Page[MemberStatus]:
    """The members of a project, those removed included. Raises NotFound, Forbidden."""
    project = _inspected(actor, key)
    rows = Membership.objects.filter(project=project).select_related("participant")
    page = page_of(rows, window, by="participant_id")
    tasks = open_invitations(page.items)
    items = [MemberStatus(membership=m, waiting_for=_waiting_for(m, tasks.get(m.pk))) for m in page.items]
    return Page(items, page.next)


def _readable(actor: Actor, key: str) -> Project:
    project = get_project(key)
    require(actor, Verb.READ, project)
    return project


def _inspected(actor: Actor, key: str) -> Project:
    project = get_project(key)
    require(actor, Verb.INSPECT, project)
    return project


def _project_statuses(actor: Actor, projects: Sequence[Project], now: datetime) -> list[ProjectStatus]:
    rounds, checkpoints, members = newest_rounds(projects), newest_checkpoints(projects), member_counts(projects)
    counts = round_counts(list(rounds.values()))
    statuses = []
    for project in projects:
        current, named = rounds.get(project.pk), may(actor, Verb.INSPECT, project)
        latest = None
        if current is not None:
            reasons = reasons_of_round(project, current, now, named=named)
            latest = RoundStatus(round=current, reasons=reasons, counts=counts[current.pk])
        running = project.state == Project.State.RUNNING and latest is not None and latest.round.state.is_open
        statuses.append(
            ProjectStatus(
                project=project,
                reasons=(
                    *(latest.reasons if latest is not None and running else reasons_of(project, now, named=named)),
                    *(_trouble(checkpoints.get(project.pk)) if named else ()),
                ),
                round=latest,
                checkpoint=checkpoints.get(project.pk),
                model=_model(project, checkpoints.get(project.pk)),
                participants=members.get(project.pk, 0),
            )
        )
    return statuses


def _model(project: Project, latest: Checkpoint | None) -> int | None:
    """The number of the checkpoint that is the project's model."""
    found = find_model(project) if project.best else latest
    return found.number if found is not None else None


def _trouble(checkpoint: Checkpoint | None) -> tuple[Reason, ...]:
    """What went wrong with looking at a checkpoint, for those who can do something about it."""
    told = (checkpoint.evaluation or {}).get("reason") if checkpoint is not None else None
    return (Reason(told["code"], told["text"], {"checkpoint": checkpoint.number}),) if told and checkpoint else ()


def _round_statuses(actor: Actor, project: Project, rounds: Sequence[Round], now: datetime) -> list[RoundStatus]:
    """At most one of a project's rounds is open, so that at most one has its reasons counted anew."""
    counts, named = round_counts(rounds), may(actor, Verb.INSPECT, project)
    return [
        RoundStatus(round=r, reasons=reasons_of_round(project, r, now, named=named), counts=counts[r.pk])
        for r in rounds
    ]


def _waiting_for(membership: Membership, task: Invitation | None) -> Reason | None:
    if membership.state != Membership.State.ACTIVE:
        return None
    if task is not None:
        number = task.round.number
        return Reason("update", f"Its update for round {number} is awaited.", {"round": number})
    if membership.obstacle:
        text = f"It cannot be invited: {membership.obstacle}."
        return Reason("obstacle", text, {"obstacle": membership.obstacle})
    return None
