"""Leading one session: many threads hear the participants, one decides and writes down.

Whoever is answered that something happened can rely on it: the state is in the database, and a result in the blob
store, before the answer goes out. So a node that is killed goes on with the same round.
"""

import threading
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass, replace
from uuid import uuid4

import structlog
from django.db import connections

from foedus.core.errors import Invalid, NotFound, PlatformError, TooLarge
from foedus.core.market.attendance import awaited, needed_of_awaited, without
from foedus.core.market.leading import Lead, Leader, Member, Phase, Result, Standing, answer, fail, told
from foedus.ports import Ports
from foedus.records.market.models import LedSession
from foedus.services.market.averaging import average, read_result
from foedus.services.market.deciding import Decisions, SessionLost
from foedus.services.market.session_tokens import round_token
from foedus.services.shell.staging import staged

log = structlog.get_logger()

_LOOK_EVERY_S = 0.25
_ASK_EVERY_S = 5.0  # who can come no more, which may take a ledger its time
_ASK_LEAST_S = 60.0  # where nothing changes, it is asked more and more rarely down to this
_KEPT_TOKENS = 8  # rounds: who is slow, or asks again, has a token of one that may be over
_COUNTED = "counted"
_UNCOUNTED = "not counted: the result of this round was taken already, or comes too late"


@dataclass(frozen=True, slots=True)
class Round:
    """What a member may do in a round: hand in a result that counts, of the shape that is wanted, or only look on."""

    number: int
    counts: bool
    weights: str
    form: str


@dataclass(frozen=True, slots=True)
class Around:
    """What a session needs of the world beside its place.

    ``gone`` says of agreements which are over, in a thread of its own, and need not go on once that many are not;
    ``on_round`` hears when a round has begun.
    """

    gone: Callable[[Collection[str], int], Collection[str]] = lambda _, __: ()
    on_round: Callable[[], None] = lambda: None


class Conductor:
    """The session of one execution. All but ``run`` may be called from any thread; they wait for ``run`` to decide."""

    def __init__(
        self, ports: Ports, rules: Leader, kept: LedSession, *, clock: Callable[[], float], max_bytes: int,
        around: Around = Around(),
    ) -> None:  # fmt: skip
        self.ports, self.rules, self.max_bytes, self._around = ports, rules, max_bytes, around
        self.execution = kept.execution.execution
        self._kept, self._clock = kept, clock
        self._state = Lead.from_json(kept.state)
        self._decisions = Decisions()
        self._averaging: threading.Thread | None = None
        self._asking: threading.Thread | None = None
        self._asking_at = clock()
        self._ask_after_s = _ASK_EVERY_S
        self._heard: tuple[Collection[str], Collection[str]] = (), ()  # of whom it was asked last, and who was gone

    @property
    def state(self) -> Lead:
        """As it stands; states never change, new ones take their place."""
        return self._state

    def join(self, agreement: str) -> str | None:
        """The name of a new member, or None where the session is over."""
        return self._decisions.ask(lambda: self._join(agreement))

    def hear(self, agreement: str, name: str) -> tuple[str, int | None]:
        """A heartbeat, and what it is told."""
        return self._decisions.ask(lambda: self._hear(agreement, name))

    def token_of(self, agreement: str, name: str) -> str | None:
        """The member's token of the round for which it was selected last; None where it never was."""
        member = self._member(self.state, agreement, name)
        return None if member is None or member.chosen_for < 0 else self._token(member)

    def enter(self, agreement: str, name: str, token: str) -> Round:
        """Raises NotFound unless this is a token of the member's, of its latest rounds.

        Programs of participants end at an error: one of a round that is over opens nothing more than a look.
        """
        state = self.state
        member = self._member(state, agreement, name)
        number = None if member is None else self._round_of(member, token)
        if member is None or number is None:
            raise NotFound("there is no such participant, or this is not its token")
        is_open = member.standing is Standing.SELECTED and state.phase is Phase.ROUND
        return Round(number, is_open and number == member.chosen_for, state.weights, state.form)

    def weights(self, entered: Round) -> tuple[int, Iterator[bytes]]:
        """Bytes and content of the newest average; none before there is one."""
        if not entered.weights:
            return 0, iter(())
        return self.ports.blobs.stat(entered.weights).size_bytes, self.ports.blobs.read(entered.weights)

    def hand_in(self, agreement: str, name: str, token: str, body: Iterable[bytes]) -> str:
        """Take a result; in a word, what became of it. Raises NotFound, TooLarge, SessionOver.

        A result that is bad, or counts no more, is no error: the program of the participant would stop at one.
        """
        entered = self.enter(agreement, name, token)
        if not entered.counts:
            for _ in body:
                pass  # who sends wants to get rid of it before it listens
            return _UNCOUNTED
        key = f"market/{self.execution}/results/{entered.number}-{name}-{uuid4().hex}"
        try:
            with staged(self.ports.scratch, body, self.max_bytes) as whole:
                samples, form = read_result(whole.path, self.rules.session.aggregator)
                self.ports.blobs.put_file(key, whole.path)
        except TooLarge:
            self._decisions.ask(lambda: self._ignore(name, entered.number, "too large"))
            raise
        except Invalid as exc:
            reason = exc.message
            return self._decisions.ask(lambda: self._ignore(name, entered.number, reason))
        result = Result(name, agreement, samples, key)
        said = self._decisions.ask(lambda: self._hand_in(result, form, entered.number))
        if said != _COUNTED:
            self.ports.blobs.delete(key)
        return said

    def run(self, is_stopped: Callable[[], bool]) -> Lead:
        """Lead until the session is over and everybody knows, or nobody is left. The one thread that decides.

        Raises SessionLost where another process leads it by now.
        """
        try:
            self._set(self.rules.resume(self._state, self._clock()))
            while not (self._state.is_over and self._is_left()):
                if not self._state.is_over and is_stopped():
                    self._set(fail(self._state, "it was stopped"))
                self._set(self.rules.pass_time(self._state, self._clock()))
                self._average()
                self._look_who_is_gone()
                self._decisions.take(_LOOK_EVERY_S)
        finally:
            self._decisions.close()
        return self._state

    def _is_left(self) -> bool:
        """Whether everybody knows of the end, or was silent for as long as it takes to count as gone."""
        silent = self._clock() - self.rules.session.heartbeat_timeout_s
        return all(member.knows or member.seen_at < silent for member in self._state.members)

    def _join(self, agreement: str) -> str | None:
        if self._state.is_over:
            return None
        name = str(uuid4())
        self._set(self.rules.join(self._state, name, agreement, self._clock()))
        return name

    def _hear(self, agreement: str, name: str) -> tuple[str, int | None]:
        member = self._member(self._state, agreement, name)
        if member is not None:
            now = self._clock()
            state = told(self._state, name) if self._state.is_over else self.rules.hear(self._state, name, now)
            self._set(state)
            member = state.find(name)
        return answer(self._state, member)

    def _hand_in(self, result: Result, form: str, number: int) -> str:
        if self._state.form and form != self._state.form:
            return self._ignore(result.member, number, f"the weights are {form}, and {self._state.form} are wanted")
        if self._state.round != number:
            return _UNCOUNTED
        after = self.rules.hand_in(self._state, result, form, self._clock())
        counted = after is not self._state
        self._set(after)
        return _COUNTED if counted else _UNCOUNTED

    def _ignore(self, name: str, number: int, reason: str) -> str:
        log.info("session.result_ignored", execution=self.execution, member=name, round=number, reason=reason)
        if self._state.round == number:
            self._set(self.rules.ignore(self._state, name, self._clock()))
        return f"ignored: {reason}"

    def _average(self) -> None:
        """Begin to average where a round is complete; meanwhile participants are heard."""
        if self._state.phase is Phase.AVERAGING and self._averaging is None:
            self._averaging = threading.Thread(target=self._averaged, args=(self._state,), daemon=True)
            self._averaging.start()

    def _look_who_is_gone(self) -> None:
        """Ask now and then, where the session names its participants; meanwhile they are heard."""
        if self._asking is not None or self._clock() - self._asking_at < self._ask_after_s:
            return
        self._asking_at = self._clock()
        if self._state.phase in (Phase.STANDBY, Phase.ROUND) and self.rules.session.allowed_agreements is not None:
            self._asking = threading.Thread(target=self._ask_who_is_gone, args=(self._state,), daemon=True)
            self._asking.start()

    def _ask_who_is_gone(self, state: Lead) -> None:
        asked, gone = awaited(self.rules, state), frozenset[str]()
        try:
            gone = frozenset(self._around.gone(asked, needed_of_awaited(self.rules, state)))
        except Exception as exc:  # noqa: BLE001 - whatever it was, it is asked again
            log.warning("session.nobody_knows_who_comes", execution=self.execution, error=repr(exc))
        finally:
            connections.close_all()  # of this thread alone
        self._decisions.leave(lambda: self._leave_out(asked, gone))

    def _leave_out(self, asked: Collection[str], gone: Collection[str]) -> None:
        self._asking = None
        is_news = (asked, gone) != self._heard
        self._ask_after_s = _ASK_EVERY_S if is_news else min(2 * self._ask_after_s, _ASK_LEAST_S)
        self._heard = asked, gone
        self._set(without(self.rules, self._state, gone, self._clock()))

    def _averaged(self, state: Lead) -> None:
        key = f"market/{self.execution}/weights/{state.round}"
        reason = ""
        try:
            average(self.ports, state.results, self.rules.session.aggregator, key)
        except Exception as exc:  # noqa: BLE001 - whatever it was, the session must hear of it
            reason = exc.message if isinstance(exc, PlatformError) else repr(exc)
            log.warning("session.average_failed", execution=self.execution, round=state.round, reason=reason)
        self._decisions.leave(lambda: self._advance(state, key, reason))

    def _advance(self, state: Lead, key: str, reason: str) -> None:
        self._averaging = None
        if self._state.is_over:
            return
        now = self._clock()
        self._set(self.rules.repeat(self._state, reason, now) if reason else self.rules.advance(self._state, key, now))
        for result in state.results:
            self.ports.blobs.delete(result.blob)
        if state.weights and not reason and not self.rules.session.keep_rounds:
            self.ports.blobs.delete(state.weights)
        log.info("session.round_over", execution=self.execution, round=state.round, results=len(state.results))
        self._around.on_round()

    def _set(self, state: Lead) -> None:
        """Write down what has to outlive this process, then go on from there. When a member was heard last does not."""
        if _lasting(state) != _lasting(self._state):
            mine = LedSession.objects.filter(pk=self._kept.pk, holder=self._kept.holder)
            if not mine.update(state=state.to_json()):
                raise SessionLost
        self._state = state

    def _member(self, state: Lead, agreement: str, name: str) -> Member | None:
        member = state.find(name)
        return member if member is not None and member.agreement == agreement else None

    def _token(self, member: Member) -> str:
        return round_token(self.ports, self.execution, member.name, member.chosen_for)

    def _round_of(self, member: Member, token: str) -> int | None:
        """For which round the token was given."""
        latest = member.chosen_for
        rounds = range(latest, max(-1, latest - _KEPT_TOKENS), -1)
        return next((n for n in rounds if token == round_token(self.ports, self.execution, member.name, n)), None)


def _lasting(state: Lead) -> Lead:
    return replace(state, members=tuple(replace(member, seen_at=0.0) for member in state.members))
