"""A session as who leads it sees it: who takes part, in which round, and when a round is over.

The rules are those of xain-fl 0.8, with the places put right where a session would hang: how many results a round needs
is never 0, and whether a round is over is looked at after everything that happens, not after good results alone.
"""

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from enum import StrEnum
from math import ceil
from typing import Any, Self

import numpy as np

from foedus.core.errors import Conflict
from foedus.core.market.sessions import MAX_MEMBERS, Session
from foedus.core.policies.options import share_of

MAX_FAILURES = 3  # averages in a row that cannot be made


class SessionFull(Conflict):
    """This session has as many participants as it can hold."""


class Phase(StrEnum):
    STANDBY = "standby"
    ROUND = "round"
    AVERAGING = "averaging"  # a round whose results are all there
    FINISHED = "finished"
    FAILED = "failed"


class Standing(StrEnum):
    WAITING = "waiting"
    SELECTED = "selected"
    DONE = "done"
    GONE = "gone"  # handed in its result of this round, then fell silent
    IGNORED = "ignored"  # handed in a bad result, or came a second time: may be selected again in the next round


@dataclass(frozen=True, slots=True)
class Member:
    """``chosen_for`` is the latest round for which it was selected, -1 before; ``knows`` that the session is over."""

    name: str
    agreement: str
    standing: Standing
    seen_at: float
    chosen_for: int = -1
    knows: bool = False


@dataclass(frozen=True, slots=True)
class Result:
    """What a member handed in for a round; ``blob`` is where the weights lie."""

    member: str
    agreement: str
    samples: int
    blob: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Lead:
    """All there is to know of a session; times are seconds since the epoch.

    ``wanted``   how many shall train in this round
    ``drawn``    how many were drawn for it so far, replacements included
    ``weights``  where the newest average lies, empty before the first
    ``form``     dtype and shape that results must have, empty before the first
    ``ignored``  results that were bad, in all rounds
    ``past``     for every round that is over: samples by member's agreement or name
    """

    began_at: float
    round_at: float
    phase: Phase = Phase.STANDBY
    round: int = 0
    wanted: int = 0
    drawn: int = 0
    members: tuple[Member, ...] = ()
    results: tuple[Result, ...] = ()
    weights: str = ""
    form: str = ""
    ignored: int = 0
    failures: int = 0
    reason: str = ""
    past: tuple[Mapping[str, int], ...] = ()

    @property
    def is_over(self) -> bool:
        return self.phase in (Phase.FINISHED, Phase.FAILED)

    @property
    def connected(self) -> int:
        return sum(member.standing is not Standing.GONE for member in self.members)

    @property
    def selected(self) -> int:
        return sum(member.standing is Standing.SELECTED for member in self.members)

    def find(self, name: str) -> Member | None:
        return next((member for member in self.members if member.name == name), None)

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, fields: Mapping[str, Any]) -> Self:
        members = tuple(Member(**{**m, "standing": Standing(m["standing"])}) for m in fields["members"])
        results = tuple(Result(**result) for result in fields["results"])
        return cls(
            **{**fields, "phase": Phase(fields["phase"]), "members": members, "results": results,
               "past": tuple(fields["past"])}
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Leader:
    """The rules of one session: each method takes a state and gives the next. ``seed`` decides who is drawn.

    ``limit_s`` is how long the session may take.
    """

    session: Session
    limit_s: float
    seed: int

    @property
    def required(self) -> int:
        """Results that a round needs."""
        return max(1, ceil(share_of(self.session.ratio, self.session.min_participants)))

    def begin(self, now: float) -> Lead:
        return Lead(began_at=now, round_at=now)

    def resume(self, state: Lead, now: float) -> Lead:
        """After a time in which nobody could be heard: silence begins anew."""
        return replace(state, members=tuple(replace(member, seen_at=now) for member in state.members))

    def join(self, state: Lead, name: str, agreement: str, now: float) -> Lead:
        """A newcomer. One who is known under its ``agreement`` already takes that one's place.

        Raises SessionFull.
        """
        before = next((m for m in state.members if agreement and m.agreement == agreement), None)
        rest = tuple(member for member in state.members if member is not before)
        if len(rest) >= MAX_MEMBERS:
            raise SessionFull
        # Whoever was in this round already waits for the next, so that nobody counts twice.
        again = before is not None and before.standing is not Standing.WAITING
        standing = Standing.IGNORED if again else Standing.WAITING
        return self._moved(replace(state, members=(*rest, Member(name, agreement, standing, now))), now)

    def hear(self, state: Lead, name: str, now: float) -> Lead:
        """A sign of life; who is back after a silence was done, and is so still."""
        return self._moved(_changed(state, name, seen_at=now, back=True), now)

    def hand_in(self, state: Lead, result: Result, form: str, now: float) -> Lead:
        """A result of a member who is selected. Those of others change nothing: they were counted, or come too late."""
        member = state.find(result.member)
        if state.phase is not Phase.ROUND or member is None or member.standing is not Standing.SELECTED:
            return state
        state = _changed(state, result.member, standing=Standing.DONE, seen_at=now)
        return self._moved(replace(state, results=(*state.results, result), form=state.form or form), now)

    def ignore(self, state: Lead, name: str, now: float) -> Lead:
        """The result of a member who is selected was bad."""
        member = state.find(name)
        if member is None or member.standing is not Standing.SELECTED:
            return state
        state = _changed(state, name, standing=Standing.IGNORED, seen_at=now)
        return self._moved(replace(state, ignored=state.ignored + 1), now)

    def pass_time(self, state: Lead, now: float) -> Lead:
        """Whoever was silent for too long is gone; rounds and sessions end that took too long."""
        if state.is_over:
            return state
        silent = now - self.session.heartbeat_timeout_s
        if any(member.seen_at < silent and member.standing is not Standing.GONE for member in state.members):
            state = replace(state, members=tuple(_after_silence(state.members, silent)))
        state = self._moved(state, now)
        if now - state.began_at > self.limit_s:
            return fail(state, f"the session took longer than {self.limit_s:g} s")
        limit = self.session.round_timeout_s
        if state.phase is Phase.ROUND and limit is not None and now - state.round_at > limit:
            if len(state.results) < self.required:
                return fail(state, f"round {state.round} took longer than {limit:g} s")
            return replace(_stood(state, {Standing.SELECTED: Standing.IGNORED}), phase=Phase.AVERAGING)
        return state

    def advance(self, state: Lead, weights: str, now: float) -> Lead:
        """The results of the round are averaged: the next one begins, or the session is over."""
        samples = {result.agreement or result.member: result.samples for result in state.results}
        over = state.round + 1 >= self.session.rounds
        state = replace(
            _between_rounds(state, now),
            round=state.round if over else state.round + 1,
            phase=Phase.FINISHED if over else Phase.STANDBY,
            weights=weights,
            failures=0,
            past=(*state.past, samples),
        )
        return self._moved(state, now)

    def repeat(self, state: Lead, reason: str, now: float) -> Lead:
        """The results could not be averaged: the round begins anew, a few times."""
        if state.failures + 1 >= MAX_FAILURES:
            return fail(state, f"round {state.round} could not be averaged {MAX_FAILURES} times: {reason}")
        return self._moved(replace(_between_rounds(state, now), phase=Phase.STANDBY, failures=state.failures + 1), now)

    def _moved(self, state: Lead, now: float) -> Lead:
        """Begin a round, draw who is missing, or see that the round is over."""
        if state.phase is Phase.STANDBY and state.connected >= self.session.min_participants:
            wanted = ceil(share_of(self.session.ratio, state.connected))
            state = replace(state, phase=Phase.ROUND, wanted=wanted, drawn=0, round_at=now)
        if state.phase is Phase.ROUND:
            state = self._drawn(state)
            if not state.selected and len(state.results) >= self.required:
                state = replace(state, phase=Phase.AVERAGING)
        return state

    def _drawn(self, state: Lead) -> Lead:
        waiting = [member.name for member in state.members if member.standing is Standing.WAITING]
        missing = min(state.wanted - state.selected - len(state.results), len(waiting))
        if missing <= 0:
            return state
        rng = np.random.default_rng([self.seed, state.round, state.failures, state.drawn])
        chosen = {waiting[i] for i in rng.permutation(len(waiting))[:missing]}
        members = tuple(
            replace(m, standing=Standing.SELECTED, chosen_for=state.round) if m.name in chosen else m
            for m in state.members
        )
        return replace(state, members=members, drawn=state.drawn + missing)


def answer(state: Lead, member: Member | None) -> tuple[str, int | None]:
    """What a heartbeat is told, in the words of the protocol."""
    if state.is_over:
        return "finish", None
    if member is None:
        return "reject", None
    return ("round", state.round) if member.standing is Standing.SELECTED else ("stand_by", None)


def shown_phase(state: Lead) -> Phase:
    """For those outside: that a round is averaged is a part of it."""
    return Phase.ROUND if state.phase is Phase.AVERAGING else state.phase


def told(state: Lead, name: str) -> Lead:
    """A member has heard that the session is over."""
    return _changed(state, name, knows=True) if state.is_over else state


def fail(state: Lead, reason: str) -> Lead:
    return replace(state, phase=Phase.FAILED, reason=reason)


def _changed(state: Lead, name: str, *, back: bool = False, **changes: Any) -> Lead:
    def changed(member: Member) -> Member:
        if member.name != name:
            return member
        if back and member.standing is Standing.GONE:
            member = replace(member, standing=Standing.DONE)
        return replace(member, **changes)

    return replace(state, members=tuple(map(changed, state.members)))


def _after_silence(members: Iterable[Member], silent: float) -> Iterable[Member]:
    """Without those who were silent; who was done is kept, since its result counts."""
    for member in members:
        if member.seen_at >= silent or member.standing is Standing.GONE:
            yield member
        elif member.standing is Standing.DONE:
            yield replace(member, standing=Standing.GONE)


def _stood(state: Lead, becomes: Mapping[Standing, Standing]) -> Lead:
    members = (replace(member, standing=becomes.get(member.standing, member.standing)) for member in state.members)
    return replace(state, members=tuple(members))


def _between_rounds(state: Lead, now: float) -> Lead:
    here = tuple(member for member in state.members if member.standing is not Standing.GONE)
    state = replace(state, members=here, results=(), wanted=0, drawn=0, round_at=now)
    return _stood(state, dict.fromkeys(Standing, Standing.WAITING))
