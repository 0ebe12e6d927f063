"""What policies are told of a round, counted.

A full look counts everything and keeps the counts with the round. An update that is accepted adds itself to them, so
that it costs the same in a round of ten thousand as in a round of two. Whoever takes an update, an invitation or a
member away asks ``advance``, which looks fully; so does the clock.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from django.db.models import Count, Max, Q, Value

from foedus.core.rounds import Candidate, Phase, Policy, RoundView
from foedus.records.learning.changes import store_counts
from foedus.records.learning.models import OPEN_PHASES, Invitation, Membership, Project, Round, Update
from foedus.records.learning.people import candidates, first_seen, in_flight, pending
from foedus.records.learning.queries import active_memberships
from foedus.records.prepared import PreparedRows
from foedus.records.statements import Slot

_GIVEN_UP = (Invitation.State.LOST, Invitation.State.DECLINED)
_LOST = Q(state__in=_GIVEN_UP)
_IS_MEMBER = Q(membership__state=Membership.State.ACTIVE)

# What every look at a round asks: written once (see ``prepared``).
_members = PreparedRows(
    lambda: (
        Membership.objects.filter(project=Slot("project"), state=Membership.State.ACTIVE)
        .annotate(all=Value(1))  # a constant groups them without a look at any column, which takes twice as long
        .values("all")
        .annotate(members=Count("*"))
        .values_list("members")
    )
)
_invited = PreparedRows(
    lambda: (
        Invitation.objects.filter(round=Slot("round"))
        .values("round")
        .annotate(invited=Count("pk"), lost=Count("pk", filter=_LOST))
        .values_list("invited", "lost")
    )
)
_not_silent = PreparedRows(
    lambda: (
        Invitation.objects.filter(round=Slot("round"), state__in=_GIVEN_UP)
        .values("round")
        .annotate(
            declined=Count("pk", filter=_IS_MEMBER & Q(state=Invitation.State.DECLINED)),
            removed=Count("pk", filter=~_IS_MEMBER),
        )
        .values_list("declined", "removed")
    )
)
_handed_in = PreparedRows(
    lambda: (
        Update.objects.filter(round=Slot("round"))
        .values("round")
        .annotate(reported=Count("membership", distinct=True), updates=Count("pk"))
        .values_list("reported", "updates")
    )
)


@dataclass(frozen=True, slots=True, kw_only=True)
class RoundCounts:
    """What a round holds; the words are those of ``RoundView``."""

    invited: int = 0
    lost: int = 0
    reported: int = 0
    updates: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Tally(RoundCounts):
    """What a full look at a round counts, and an accepted update keeps up.

    ``ready`` is who could be invited and was not, at the last look that had to know; None: nobody looked.
    """

    members: int = 0
    ready: int | None = None

    def with_invitations(self, members: Sequence[int], before: Mapping[int, str]) -> "Tally":
        """These members were invited; ``before``: what had become of those who were invited to this round already."""
        found_again = sum(state in _GIVEN_UP for state in before.values())
        return replace(self, invited=self.invited + len(members) - len(before), lost=self.lost - found_again)

    def with_update(self, *, first: bool, was_lost: bool) -> "Tally":
        """An update more: its member's ``first`` in this round; of one that was given up before (``was_lost``)."""
        return replace(
            self, updates=self.updates + 1, reported=self.reported + first, lost=max(0, self.lost - was_lost)
        )


def kept_tally(current: Round) -> Tally | None:
    """The counts kept with an open round, if a full look was taken before."""
    if current.update_count is None:
        return None
    return Tally(
        members=current.member_count or 0,
        invited=current.invited_count or 0,
        lost=current.lost_count or 0,
        reported=current.reported_count or 0,
        updates=current.update_count,
        ready=current.ready_count,
    )


def keep_tally(current: Round, tally: Tally) -> None:
    """Note the counts with the round, if they are news. The caller holds the project's lock."""
    if kept_tally(current) == tally:
        return
    note_tally(current, tally)
    store_counts(current)


def note_tally(current: Round, tally: Tally) -> None:
    """The same in memory, for a caller who stores the round."""
    for name, count in columns_of(tally).items():
        setattr(current, name, count)


def columns_of(tally: Tally) -> dict[str, int | None]:
    """The counts as a round's columns."""
    return {
        "member_count": tally.members,
        "invited_count": tally.invited,
        "lost_count": tally.lost,
        "reported_count": tally.reported,
        "update_count": tally.updates,
        "ready_count": tally.ready,
    }


def forget_tally(project: Project) -> None:
    """Invitations of the open round changed by another way than an update: the next look counts anew."""
    Round.objects.filter(project=project, phase__in=OPEN_PHASES).update(update_count=None)


def count_update(current: Round, *, first: bool, was_lost: bool) -> None:
    """An update was accepted: its member's ``first`` in this round; of one that was given up before (``was_lost``)."""
    tally = kept_tally(current)
    if tally is not None:
        keep_tally(current, tally.with_update(first=first, was_lost=was_lost))


def tally_at_opening(project: Project) -> Tally:
    """The counts of a round that nobody was invited to yet."""
    ((members,),) = _members(project=project.pk) or [(0,)]
    return Tally(members=members)


def may_have_tasks(current: Round) -> bool:
    """Whether any task can be open, of this round or of one before; False only where that is known."""
    tally = kept_tally(current)
    return tally is None or tally.invited > 0 or current.tasks_from != current.number


def counted(project: Project, current: Round) -> Tally:
    """The counts of a round, from the rows themselves."""
    ((members,),) = _members(project=project.pk) or [(0,)]
    ((invited, lost),) = _invited(round=current.pk) or [(0, 0)]
    ((reported, updates),) = _handed_in(round=current.pk) or [(0, 0)]
    return Tally(members=members, invited=invited, lost=lost, reported=reported, updates=updates)


def round_view(
    project: Project,
    current: Round,
    policy: Policy,
    now: datetime,
    *,
    absences: bool = True,
    tally: Tally | None = None,
    ready: tuple[Candidate, ...] | None = None,
    named: bool = True,
) -> RoundView:
    """What the policy may know. ``absences=False`` leaves out since when somebody is pending: updates do not change it.

    ``tally`` is what was counted already, and ``ready`` who could be invited; None: count, and look. Without ``named``
    nobody reads the reasons: it is left out who is pending.
    """
    tally = tally or counted(project, current)
    may = may_invite(current, policy, tally)
    is_short = may and tally.lost > 0 and not policy.open_ended
    declined, removed = _not_silent_of(current) if is_short else (0, 0)
    if ready is None:
        ready = candidates(project, current, policy, now) if may else ()
    completed, invalid_streak = rounds_before(project, current)
    tasks = absences and may_have_tasks(current)
    return RoundView(
        number=current.number,
        phase=current.state,
        opened_at=current.opened_at,
        started_at=current.started_at,
        deadline_at=current.deadline_at,
        needed=current.needed,
        registered=tally.members,
        candidates=ready,
        invited=tally.invited,
        lost=tally.lost,
        declined=declined,
        removed=removed,
        in_flight=in_flight(project, current) if policy.open_ended else 0,
        reported=tally.reported,
        updates=tally.updates,
        covered=_covered(project, current) if policy.open_ended and not policy.invites else 0,
        pending=pending(project, current, policy) if named and absences else (),
        pending_seen_at=first_seen(project, current) if tasks else None,
        completed=completed,
        invalid_streak=invalid_streak,
        seed=project.seed,
    )


def _not_silent_of(current: Round) -> tuple[int, int]:
    ((declined, removed),) = _not_silent(round=current.pk) or [(0, 0)]
    return declined, removed


def round_counts(rounds: Sequence[Round]) -> dict[int, RoundCounts]:
    """The counts of these rounds by primary key, in two queries however many there are."""
    pks = [r.pk for r in rounds]
    invitations = {
        row["round"]: row
        for row in Invitation.objects.filter(round__in=pks)
        .values("round")
        .annotate(invited=Count("pk"), lost=Count("pk", filter=_LOST))
    }
    updates = {
        row["round"]: row
        for row in Update.objects.filter(round__in=pks)
        .values("round")
        .annotate(updates=Count("pk"), reported=Count("membership", distinct=True))
    }
    nobody, nothing = {"invited": 0, "lost": 0}, {"updates": 0, "reported": 0}
    return {
        pk: RoundCounts(
            invited=invitations.get(pk, nobody)["invited"],
            lost=invitations.get(pk, nobody)["lost"],
            reported=updates.get(pk, nothing)["reported"],
            updates=updates.get(pk, nothing)["updates"],
        )
        for pk in pks
    }


def _invalid_since(project: Project, number: int, current: int) -> int:
    """How many rounds between the two numbers are invalid."""
    between = Round.objects.filter(project=project, number__gt=number, number__lt=current)
    return between.filter(phase=Phase.INVALID).count()


def may_invite(current: Round, policy: Policy, tally: Tally) -> bool:
    """Whether it matters who could be invited: the round has not begun, or people it counts on are missing."""
    if not policy.invites:
        return False
    if current.state is Phase.WAITING or policy.open_ended:
        return True
    still_may = max(0, tally.invited - tally.lost - tally.reported)
    return tally.lost > 0 and (current.needed == 0 or tally.reported + still_may < current.needed)


def rounds_before(project: Project, current: Round) -> tuple[int, int]:
    """How many rounds before this one are complete, and how many just before it are invalid."""
    if current.completed_before is not None and current.invalid_before is not None:
        return current.completed_before, current.invalid_before
    found = Round.objects.filter(project=project, phase=Phase.COMPLETE, number__lt=current.number).aggregate(
        completed=Count("pk"), latest=Max("number")
    )
    return found["completed"], _invalid_since(project, found["latest"] or 0, current.number)


def _covered(project: Project, current: Round) -> int:
    return active_memberships(project).filter(updates__round=current).distinct().count()
