"""The sentences of policies, and the moments after which they are said anew."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from itertools import groupby

from foedus.core.rounds import Candidate, Reason, RoundView

FEW = 3
MAX_NAME_CHARACTERS = 40


def earliest(now: datetime, *moments: datetime | None) -> datetime | None:
    """The first of ``moments`` that is still to come."""
    return min((moment for moment in moments if moment is not None and moment > now), default=None)


def next_absence(view: RoundView, absent_after_s: float) -> datetime | None:
    """When the first of those waited for counts as absent, unless it is seen before."""
    return None if view.pending_seen_at is None else view.pending_seen_at + timedelta(seconds=absent_after_s)


def counted(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def percent(ratio: float) -> str:
    return f"{100 * ratio:.4g}%"


def duration(seconds: float) -> str:
    """In one unit, rounded down: ``41 s``, ``12 min``, ``3 h``, ``2 d``."""
    for unit, length in (("d", 86_400), ("h", 3_600), ("min", 60)):
        if seconds >= 2 * length:
            return f"{int(seconds // length)} {unit}"
    return f"{max(0, int(seconds))} s"


def names(people: Sequence[Candidate]) -> str:
    """The first few by name, and how many more there are."""
    shown = ", ".join(_name(person) for person in people[:FEW])
    return shown if len(people) <= FEW else f"{shown} and {len(people) - FEW} more"


def sightings(people: Sequence[Candidate], now: datetime) -> str:
    """Those unseen for longest, as a sentence to append; empty when there is nobody."""
    waited_for = sorted(people, key=lambda p: (p.seen_at is not None, p.seen_at or now, p.key))[:FEW]
    said = [
        f"{_name(p)} was never seen"
        if p.seen_at is None
        else f"{_name(p)} was last seen {duration((now - p.seen_at).total_seconds())} ago"
        for p in waited_for
    ]
    return f" {', '.join(said)}." if said else ""


def obstacles(view: RoundView) -> tuple[Reason, ...]:
    """Why participants that are there cannot be invited: a reason for every kind of obstacle."""
    blocked = sorted((c for c in view.candidates if not c.ready), key=lambda c: (c.obstacle, c.key))
    return tuple(_obstacle(obstacle, list(group)) for obstacle, group in groupby(blocked, key=lambda c: c.obstacle))


def absentees(view: RoundView, absent_after_s: float, now: datetime) -> tuple[Reason, ...]:
    """The members who are neither there nor in flight nor done with this round, if any; some of them, at the least."""
    absent = view.registered - len(view.candidates) - view.in_flight - view.reported
    if absent <= 0:
        return ()
    there = {c.key for c in view.candidates}
    unseen = [p for p in view.pending if p.key not in there and not view.in_flight]
    if len(unseen) == absent and all(p.seen_at is None for p in unseen):
        text = f"{counted(absent, 'participant')} joined and not seen since: {names(unseen)}."
    else:
        since = f"not seen in the last {duration(absent_after_s)}"
        text = f"{counted(absent, 'participant')} {since}.{sightings(unseen, now)}"
    return (Reason("absent", text, {"absent": absent, "absent_after_s": absent_after_s}),)


def deadline(moment: datetime, now: datetime) -> Reason:
    left_s = max(0.0, (moment - now).total_seconds())
    return Reason(
        "deadline",
        f"The round is decided in {duration(left_s)} at the latest.",
        {"deadline_at": moment.isoformat(), "left_s": left_s},
    )


def _name(person: Candidate) -> str:
    """Names come from strangers: one line, and not too long."""
    name = " ".join((person.name or person.key).split())
    return name if len(name) <= MAX_NAME_CHARACTERS else f"{name[: MAX_NAME_CHARACTERS - 1]}…"


def _obstacle(obstacle: str, group: Sequence[Candidate]) -> Reason:
    text = f"{counted(len(group), 'participant')} cannot be invited ({obstacle}): {names(group)}."
    return Reason("obstacle", text, {"obstacle": obstacle, "participants": len(group)})
