"""Who is still to come to a session: what it waits for, in a sentence, and when it need not wait any longer."""

from collections.abc import Collection

from foedus.core.market.leading import Lead, Leader, Phase, Standing, fail


def awaited(rules: Leader, state: Lead) -> tuple[str, ...]:
    """Agreements whose participants the session names, and who are not there."""
    if state.is_over or state.phase is Phase.AVERAGING:
        return ()
    here = _here(state)
    return tuple(each for each in rules.session.allowed_agreements or () if each not in here)


def needed_of_awaited(rules: Leader, state: Lead) -> int:
    """How many of those awaited have to be able to come for the session to go on as it does; 0 where none has to."""
    present, needed = _present(rules, state)
    return max(needed - len(present), 1 if state.phase is Phase.ROUND and not state.selected else 0)


def without(rules: Leader, state: Lead, gone: Collection[str], now: float) -> Lead:
    """The session once it is known that nobody will come under the agreements ``gone``.

    One that names its participants ends where too few of them are left. Where all who are left are there, and too few
    of their results are good, its round begins anew. One that names nobody may always be joined by somebody else.
    """
    if state.is_over or state.phase is Phase.AVERAGING or rules.session.allowed_agreements is None:
        return state
    coming = set(awaited(rules, state)) - set(gone)
    present, needed = _present(rules, state)
    left = len(present | coming)
    if left < needed:
        can = f"no more than {left} can come" if left else "none can come"
        return fail(state, f"{_participants(needed)} needed, and {can}: what the others bought is over")
    is_stuck = state.phase is Phase.ROUND and not state.selected and not coming
    return rules.repeat(state, "too few results were good", now) if is_stuck else state


def waits_for(rules: Leader, state: Lead) -> str:
    """In a sentence; empty where the session waits for nobody."""
    if state.phase is Phase.STANDBY:
        missing = rules.session.min_participants - state.connected
        return f"waits for {_participants(missing)} more to connect: {state.connected} are there" if missing > 0 else ""
    if state.phase is not Phase.ROUND:
        return ""
    if state.selected:
        return f"waits for results of {_participants(state.selected)} in round {state.round}"
    missing = rules.required - len(state.results)
    return f"waits for {_participants(missing)} more to connect: those who are there did what they could in this round"


def _present(rules: Leader, state: Lead) -> tuple[set[str], int]:
    """Who has not to come any more, and how many there have to be."""
    if state.phase is Phase.STANDBY:
        return _here(state), rules.session.min_participants
    return _here(state) | {result.agreement for result in state.results}, rules.required


def _here(state: Lead) -> set[str]:
    return {member.agreement for member in state.members if member.standing is not Standing.GONE}


def _participants(count: int) -> str:
    return f"{count} participant{'' if count == 1 else 's'}"
