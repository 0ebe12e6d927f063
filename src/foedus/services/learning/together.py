"""Updates that arrive together: one look, one lock and one commit for all of them.

Each comes out as if they had been counted one after the other. What the open round takes by a policy that asks for one
update of each is written on a sheet, which is stored once it is full or the round has what it needs; all else is
counted one by one, after it.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial

from django.db import transaction

from foedus.core.errors import NotFound, PlatformError, Replayed
from foedus.core.rounds import Wait, next_step
from foedus.ports import Ports
from foedus.records.learning.changes import insert_update, note_all_reported, note_all_seen
from foedus.records.learning.counting import counted, keep_tally, kept_tally, may_invite, round_view
from foedus.records.learning.models import Invitation, Membership, Project, Round, Update
from foedus.records.learning.people import Standing, standings
from foedus.records.learning.queries import find_open_round
from foedus.services.learning.admission import admit
from foedus.services.learning.looking import Look
from foedus.services.learning.rounds import advance
from foedus.services.learning.rules import policy_of
from foedus.services.learning.updates import Stored, SubmitUpdate, check_same, record_update, told_of
from foedus.services.shell.events import emit_all, gathered

Outcome = tuple[Update, bool] | Exception


@dataclass(frozen=True, slots=True)
class Offered:
    """An update whose body is checked and, unless it goes into its row, stored."""

    membership: Membership
    command: SubmitUpdate
    body: Stored


def record_updates(ports: Ports, project: Project, offered: Sequence[Offered], *, now: datetime) -> list[Outcome]:
    """Count updates, and let the round move on. For each, the update and whether it is new, or why it is refused.

    The caller holds the project's lock.
    """
    outcomes: dict[int, Outcome] = {}
    current = find_open_round(project)
    there = standings(current, [one.membership.pk for one in offered])
    for at, one in enumerate(offered):
        if one.membership.pk not in there:
            outcomes[at] = NotFound(f"you are not a participant of project {project.key!r}", project=project.key)
    if current is not None and _is_simple(current):
        sheet = _Sheet(project, current, there, now)
        for at, one in enumerate(offered):
            if at not in outcomes and one.command.round == current.number and not sheet.is_full:
                outcomes[at] = _tried(partial(sheet.add, one))
        sheet.store(ports)
    for at, one in enumerate(offered):
        if at not in outcomes:
            count = partial(record_update, ports, project, one.membership, one.command, one.body, now=now)
            outcomes[at] = _tried(transaction.atomic(count))  # moving the round on may fail after it was written
    return [outcomes[at] for at in range(len(offered))]


def _is_simple(current: Round) -> bool:
    """Whether updates stay in the round of their task, one of each member."""
    policy = policy_of(current)
    return not policy.open_ended and policy.updates_per_participant == 1


def _tried(count: Callable[[], tuple[Update, bool]]) -> Outcome:
    """What is refused leaves nothing written, and does not concern the others."""
    try:
        return count()
    except PlatformError as exc:
        return exc


class _Sheet:
    """What the open round takes, noted in memory. ``is_full`` once the round need not wait any more."""

    def __init__(self, project: Project, current: Round, there: Mapping[int, Standing], now: datetime) -> None:
        self._project = project
        self._round = current
        self._policy = policy_of(current)
        self._now = now
        self._there = there
        self._tally = kept_tally(current) or counted(project, current)
        self._added: dict[int, Update] = {}  # by the membership's primary key
        self._reported: list[int] = []
        self._waits: Wait | None = None
        self.is_full = False

    def add(self, one: Offered) -> tuple[Update, bool]:
        """Take an update for the round. Raises Replayed, and what the policy raises."""
        member = one.membership
        standing = self._there[member.pk]
        known = self._known(member, standing)
        if known is not None:
            return self._same(known, one), False
        admit(self._round, self._policy, member, standing.state, self._round.number, 0, 0, self._now)
        update = self._added[member.pk] = self._update(one)
        if standing.invitation is not None:
            self._reported.append(standing.invitation)
        self._tally = self._tally.with_update(first=True, was_lost=standing.state == Invitation.State.LOST)
        ready = () if self._tally.ready == 0 else None  # who has handed in does not become ready for the same round
        view = round_view(
            self._project, self._round, self._policy, self._now, absences=False, tally=self._tally, ready=ready
        )
        step = next_step(self._policy, view, self._now)
        self.is_full = not isinstance(step, Wait)
        # Where it matters who could be invited, ``advance`` looks, and keeps for later updates how many these are.
        is_settled = not may_invite(self._round, self._policy, self._tally)
        self._waits = step if is_settled and isinstance(step, Wait) else None
        return update, True

    def store(self, ports: Ports) -> None:
        """Write down what was added, and let the round move on."""
        if not self._added:
            return
        added = list(self._added.values())
        for update in added:
            insert_update(update)
        note_all_reported(self._reported, self._now)
        note_all_seen([update.membership for update in added], self._now)
        keep_tally(self._round, self._tally)
        with gathered(ports, self._project):
            emit_all(ports, self._project, "update.accepted", self._now, [told_of(update) for update in added])
            look = Look.after_update(None)
            advance(ports, self._project, self._now, look=look, current=self._round, foreseen=self._waits)

    def _known(self, member: Membership, standing: Standing) -> Update | None:
        """What the member handed in for this round before, stored or about to be."""
        if standing.update is not None:
            return Update.objects.get(pk=standing.update)
        return self._added.get(member.pk)

    def _same(self, known: Update, one: Offered) -> Update:
        if known.digest != one.body.digest:
            raise Replayed(
                f"you handed in another update for round {known.task_round} before; it stays as it was",
                round=known.task_round,
            )
        known.membership = one.membership
        check_same(known, one.command)
        return known

    def _update(self, one: Offered) -> Update:
        return Update(
            round=self._round,
            membership=one.membership,
            task_round=self._round.number,
            base=self._round.base,
            examples=one.command.examples,
            metrics=dict(one.command.metrics),
            digest=one.body.digest,
            size_bytes=one.body.size_bytes,
            blob=one.body.blob,
            content=one.body.content,
            accepted_at=self._now,
        )
