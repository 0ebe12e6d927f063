"""Updates on their way in: looked at before the body is read, checked, stored, and counted exactly once."""

from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime

import structlog
from django.db import Error as DatabaseError
from django.db import transaction

from foedus.core.codecs.finite import Extremes
from foedus.core.errors import Late, NotFound, PlatformError, Replayed, TooLarge
from foedus.ports import Ports
from foedus.records.learning.models import Project, Update
from foedus.records.learning.queries import get_checkpoint, lock_project
from foedus.services.learning.admission import admission
from foedus.services.learning.bases import extremes_of, layout_of
from foedus.services.learning.equipment import needs_now, wanted_under
from foedus.services.learning.models_in import check_update, store
from foedus.services.learning.rounds import end_task
from foedus.services.learning.together import Offered, Outcome, record_updates
from foedus.services.learning.updates import Stored, SubmitUpdate, find_same
from foedus.services.shell.authorisation import Actor, Verb, membership_of, memberships_of
from foedus.services.shell.groups import in_groups
from foedus.services.shell.leftovers import remove_unnamed
from foedus.services.shell.staging import Held, Staged

log = structlog.get_logger()

MAX_HELD_BYTES = 32 << 10  # a body of so few bytes is a column of its row: no file, and one wait for the disk less


@dataclass(frozen=True, slots=True)
class Expected:
    """The answer to an announced update: how large it may be; or that it is here already."""

    limit_bytes: int
    receipt: Update | None = None


def expect_update(ports: Ports, actor: Actor, command: SubmitUpdate, digest: str | None, *, now: datetime) -> Expected:
    """Look before the body is read: refuse what cannot be accepted, answer what was accepted before."""
    membership = membership_of(actor, Verb.WORK, command.project)
    project = membership.project
    needs = needs_now(project)
    limit = wanted_under(layout_of(project), project, needs).size_bytes
    if digest is not None and (known := find_same(membership, command, digest)) is not None:
        return Expected(limit, known)
    try:
        admission(project, membership, command.round, now)
    except (Late, Replayed) as exc:
        # The same update, sent twice at once, may have been accepted since the look above.
        if digest is not None and (known := find_same(membership, command, digest)) is not None:
            return Expected(limit, known)
        if isinstance(exc, Late):
            end_task(ports, actor.id, project, command.round, now)
        raise
    needs.check_metrics(command.metrics)
    return Expected(limit)


@dataclass(frozen=True, slots=True)
class HandIn:
    """An update as it arrives: from whom, for what, and its body."""

    actor: Actor
    command: SubmitUpdate
    body: Staged | Held


def submit_update(
    ports: Ports, actor: Actor, command: SubmitUpdate, body: Staged | Held, *, now: datetime
) -> tuple[Update, bool]:
    """Accept the update, durably, and let the round move on. Gives it and whether it is new.

    Raises Invalid (content), Forbidden (not invited), Late (the round is over), Replayed (other content before).
    Whatever is raised, nothing is left behind.
    """
    (outcome,) = submit_updates(ports, [HandIn(actor, command, body)], now=now)
    if isinstance(outcome, Exception):
        raise outcome
    return outcome


def submit_updates(ports: Ports, handed_in: Sequence[HandIn], *, now: datetime) -> list[Outcome]:
    """The same for several, those of a project in one transaction. What would be raised is in its update's place."""
    taken = take_updates(ports, handed_in)
    outcomes = iter(count_updates(ports, [each for each in taken if isinstance(each, Offered)], now=now))
    return [next(outcomes) if isinstance(each, Offered) else each for each in taken]


def take_update(ports: Ports, one: HandIn) -> Offered:
    """The first half of ``submit_update``: the body, checked and kept. ``count_updates`` has to follow."""
    (taken,) = take_updates(ports, [one])
    if isinstance(taken, Exception):
        raise taken
    return taken


def take_updates(ports: Ports, handed_in: Sequence[HandIn]) -> list[Offered | Exception]:
    """The same for several; what would be raised is in its update's place."""
    return in_groups(handed_in, lambda one: one.command.project, lambda key, some: _taken(ports, key, some))


def count_updates(ports: Ports, offered: Sequence[Offered], *, now: datetime) -> list[Outcome]:
    """The second half: those of a project in one transaction. Of what does not count, nothing is left behind."""
    return in_groups(offered, lambda one: one.membership.project_id, lambda _, some: _counted(ports, some, now))


def _taken(ports: Ports, key: str, handed_in: Sequence[HandIn]) -> Iterator[Offered | Exception]:
    """Each is tried alone: what goes wrong with one, foreseen or not, leaves the bodies of the others to be counted."""
    members = memberships_of([one.actor for one in handed_in], Verb.WORK, key)
    door: _Door | None = None
    for one, member in zip(handed_in, members, strict=True):
        if isinstance(member, PlatformError):
            yield member
            continue
        try:
            door = door or _Door(ports, member.project)
            yield Offered(member, one.command, door.take(one))
        except PlatformError as exc:
            yield exc
        except Exception as exc:
            log.exception("update.not_taken", project=key, participant=one.actor.id)
            yield exc


def _counted(ports: Ports, offered: Sequence[Offered], now: datetime) -> list[Outcome]:
    outcomes = _accepted(ports, offered, now)
    return [_tidied(ports, offer, outcome, now) for offer, outcome in zip(offered, outcomes, strict=True)]


def _tidied(ports: Ports, offer: Offered, outcome: Outcome, now: datetime) -> Outcome:
    """The outcome, once nothing is left of what does not count; or why something is, which is nobody else's affair."""
    member = offer.membership
    try:
        if isinstance(outcome, PlatformError) or (not isinstance(outcome, Exception) and _is_spare(offer, *outcome)):
            _forget(ports, offer.body)
        if isinstance(outcome, Late):
            end_task(ports, member.participant_id, member.project, offer.command.round, now)
    except Exception as exc:
        log.exception("update.not_tidied", project=member.project.key, participant=member.participant_id)
        return exc
    return outcome


def _is_spare(offer: Offered, update: Update, is_new: bool) -> bool:  # noqa: FBT001 - an outcome's parts
    """Whether the body was here before; it may be this very one, counted by an attempt that seemed to fail."""
    return not is_new and update.blob != offer.body.blob


class _Door:
    """What a project's updates are checked by before they are kept; the same for all that arrive together."""

    def __init__(self, ports: Ports, project: Project) -> None:
        self._ports, self._project = ports, project
        self._needs = needs_now(project)
        self._wanted = wanted_under(layout_of(project), project, self._needs)
        self._limit_bytes = self._wanted.size_bytes

    def take(self, one: HandIn) -> Stored:
        """The body, checked, and stored unless it is small enough for its row. Raises Invalid, TooLarge."""
        self._needs.check_metrics(one.command.metrics)
        body = one.body
        if body.size_bytes > self._limit_bytes:
            text = f"the body has {body.size_bytes} bytes; at most {self._limit_bytes} are allowed here"
            raise TooLarge(text, limit_bytes=self._limit_bytes)
        check_update(body, self._wanted, self._extremes)
        if body.size_bytes > MAX_HELD_BYTES:
            blob = store(self._ports, f"projects/{self._project.pk}/updates", body)
            return Stored(blob, body.digest, body.size_bytes)
        content = body.path.read_bytes() if isinstance(body, Staged) else body.data
        return Stored("", body.digest, body.size_bytes, content)

    def _extremes(self) -> Extremes:
        """Those of the model that the open round began from: while one is open, nothing newer is published."""
        return extremes_of(self._ports, get_checkpoint(self._project, None))


def _accepted(ports: Ports, offered: Sequence[Offered], now: datetime) -> list[Outcome]:
    """An error that nobody foresaw may be due to one of them: then each is tried alone."""
    try:
        return _recorded(ports, offered, now)
    except Exception as exc:  # noqa: BLE001 - of the database or of this code, for one of them or for all
        if len(offered) > 1 and not isinstance(exc, DatabaseError):
            return [outcome for one in offered for outcome in _accepted(ports, [one], now)]
        for one in offered:
            _forget_unless_counted(ports, one, exc)
        return [exc] * len(offered)


def _recorded(ports: Ports, offered: Sequence[Offered], now: datetime) -> list[Outcome]:
    with transaction.atomic():
        return record_updates(ports, lock_project(offered[0].membership.project_id), offered, now=now)


def _forget_unless_counted(ports: Ports, one: Offered, after: Exception) -> None:
    rows = Update.objects.filter(membership=one.membership, task_round=one.command.round)
    remove_unnamed(
        ports, [one.body.blob], lambda blobs: set(rows.filter(blob__in=blobs).values_list("blob", flat=True)), after
    )


def _forget(ports: Ports, body: Stored) -> None:
    if body.blob:
        with suppress(NotFound):
            ports.blobs.delete(body.blob)
