"""How good a checkpoint is, in the words of those who have data to say so."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from math import isfinite
from typing import Any

from django.db import transaction
from django.db.models import Q

from foedus.core.errors import Conflict, Invalid, PlatformError
from foedus.ports import Ports
from foedus.records.learning.models import Checkpoint, Project, Score
from foedus.records.learning.queries import get_checkpoint, get_project, lock_project
from foedus.services.learning.metrics import check_metrics, numbers
from foedus.services.shell.authorisation import Actor, Kind, Verb, memberships_of, require
from foedus.services.shell.events import emit_all

Author = tuple[int | None, int | None]
"""The membership that a score is from, or the user."""
Answer = tuple[Score, bool]
"""A score, and whether it is new."""


@dataclass(frozen=True, slots=True)
class Reported:
    """How good a checkpoint is on the reporter's data: finite numbers by name, over so many examples."""

    actor: Actor
    metrics: Mapping[str, float]
    examples: float


def report_score(
    ports: Ports, actor: Actor, key: str, number: int, metrics: Mapping[str, float], examples: float, *, now: datetime
) -> Answer:
    """How good a checkpoint is on the reporter's data; saying it again with other numbers is a Conflict."""
    (found,) = report_scores(ports, key, number, [Reported(actor, metrics, examples)], now=now)
    if isinstance(found, PlatformError):
        raise found
    return found


def report_scores(
    ports: Ports, key: str, number: int, reported: Sequence[Reported], *, now: datetime
) -> list[Answer | PlatformError]:
    """What several say of one checkpoint, in one transaction; for each what ``report_score`` gives, or would raise.

    Raises NotFound when there is no such checkpoint and somebody may know.
    """
    project = get_project(key)
    authors = [_checked(one, author) for one, author in zip(reported, _authors(project, reported), strict=True)]
    known = [author for author in authors if not isinstance(author, PlatformError)]
    if not known:
        return [author for author in authors if isinstance(author, PlatformError)]
    checkpoint = get_checkpoint(project, number)
    with transaction.atomic():
        sheet = _Sheet(lock_project(project.pk), checkpoint, known, now)
        answers = [
            author if isinstance(author, PlatformError) else sheet.add(author, one)
            for author, one in zip(authors, reported, strict=True)
        ]
        sheet.store(ports)
    return answers


class _Sheet:
    """What its authors have said of a checkpoint so far, and what they say now. The project is locked."""

    def __init__(self, project: Project, checkpoint: Checkpoint, authors: Sequence[Author], now: datetime) -> None:
        by_these = Q(membership__in=[member for member, _ in authors if member is not None]) | Q(
            user__in=[user for _, user in authors if user is not None]
        )
        said = Score.objects.filter(by_these, checkpoint=checkpoint)
        self._known: dict[Author, Score] = {(score.membership_id, score.user_id): score for score in said}
        self._project, self._checkpoint, self._now = project, checkpoint, now
        self._new: list[Score] = []
        self._events: list[dict[str, Any]] = []

    def add(self, author: Author, one: Reported) -> Answer | Conflict:
        known = self._known.get(author)
        if known is None:
            return self._added(author, one), True
        if numbers(known.metrics) != numbers(one.metrics) or known.examples != one.examples:
            number = self._checkpoint.number
            return Conflict(f"you scored checkpoint {number} before with other numbers", checkpoint=number)
        return known, False

    def store(self, ports: Ports) -> None:
        Score.objects.bulk_create(self._new)
        emit_all(ports, self._project, "score.reported", self._now, self._events)

    def _added(self, author: Author, one: Reported) -> Score:
        member, user = author
        score = Score(
            checkpoint=self._checkpoint, membership_id=member, user_id=user,
            metrics=dict(one.metrics), examples=one.examples, reported_at=self._now,
        )  # fmt: skip
        self._known[author] = score
        self._new.append(score)
        self._events.append(
            {
                "checkpoint": self._checkpoint.number,
                "by": one.actor.name,
                "participant_id": one.actor.id if member is not None else None,
                "examples": one.examples,
                "metrics": dict(one.metrics),
            }
        )
        return score


def _authors(project: Project, reported: Sequence[Reported]) -> list[Author | PlatformError]:
    """Who each is, or why it may not say anything."""
    participants = [one.actor for one in reported if one.actor.kind is Kind.PARTICIPANT]
    members = iter(memberships_of(participants, Verb.SCORE, project.key))
    authors: list[Author | PlatformError] = []
    for one in reported:
        if one.actor.kind is Kind.PARTICIPANT:
            member = next(members)
            authors.append(member if isinstance(member, PlatformError) else (member.pk, None))
        else:
            authors.append(_user(one.actor, project))
    return authors


def _user(actor: Actor, project: Project) -> Author | PlatformError:
    try:
        require(actor, Verb.SCORE, project)
    except PlatformError as exc:
        return exc
    return None, actor.id


def _checked(one: Reported, author: Author | PlatformError) -> Author | PlatformError:
    """The author, or what is wrong with what it says."""
    if isinstance(author, PlatformError):
        return author
    try:
        check_metrics(one.metrics)
    except Invalid as exc:
        return exc
    if not one.metrics:
        return Invalid("a score has at least one metric", field="metrics")
    if not (isfinite(one.examples) and one.examples > 0):
        return Invalid("examples must be a number above 0", field="examples")
    return author
