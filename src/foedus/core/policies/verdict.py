"""How a round ends that did not get what it needed."""

from foedus.core.policies.reasons import counted
from foedus.core.rounds import Invalidate, Reason, RoundView


def too_few(view: RoundView, needed: int, explained: str, cap: int | None) -> Invalidate:
    """Invalid for want of updates; the end of the project's patience if it is number ``cap`` in a row."""
    streak = view.invalid_streak + 1
    give_up = cap is not None and streak >= cap
    text = f"{counted(view.reported, 'participant')} handed in an update; {explained}."
    if give_up:
        text += f" It was invalid round number {streak} in a row, and {cap} are the most allowed."
    facts = {"reported": view.reported, "needed": needed, "invited": view.invited, "lost": view.lost, "streak": streak}
    return Invalidate(Reason("too_few_updates", text, facts), give_up=give_up)
