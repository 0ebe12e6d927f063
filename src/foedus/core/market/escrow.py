"""Agreements as contracts keep them: three conditions, their windows, and who gets the money in the end.

    lock      the price is in escrow      by anybody who has the money, and not after its window
    compute   the computation is granted  by the asset's owner or one of its providers
    escrow    the money has left again    by anybody: to the receivers once ``compute`` is fulfilled, back to the return
                                          address once it is aborted

A condition moves from unfulfilled to fulfilled or to aborted, and never again. Windows count blocks.
"""

from dataclasses import dataclass
from datetime import datetime
from enum import IntEnum, StrEnum
from typing import Self

from foedus.core.errors import Conflict, Forbidden, Invalid
from foedus.core.market.aliases import COMPUTE, ESCROW, LOCK
from foedus.core.market.dids import Did

NATIVE = "0x" + 40 * "0"
"""The token that stands for a chain's own coin; as an address it is nobody's."""
MAX_SHARES = 32
MAX_BLOCKS = 1 << 40
MAX_AMOUNT = (1 << 256) - 1


class BadTransition(Conflict):
    """Invalid state transition: this condition is fulfilled or aborted already."""


class TooEarly(Conflict):
    """TimeLock is not over yet: this condition cannot be fulfilled before."""


class PaidTooLate(Conflict):
    """The window in which to pay is over; nothing was paid."""


class NotTimedOut(Conflict):
    """Condition needs to be timed out before anybody but the provider may abort it."""


class NotLocked(Conflict):
    """LockCondition needs to be Fulfilled: nothing is in escrow for this agreement."""


class Unresolved(Conflict):
    """Release conditions unresolved: the computation is neither granted nor aborted."""


class NotProvider(Forbidden):
    """Invalid DID owner/provider: only the asset's owner and its providers grant or refuse the computation."""


class BadWindow(Invalid):
    """Invalid time margin: a timelock has to be over before the timeout."""


class BadShares(Invalid):
    """Amounts and Receivers arguments have wrong length."""


class State(IntEnum):
    """As contracts number it; nothing is kept in state 0."""

    UNINITIALIZED = 0
    UNFULFILLED = 1
    FULFILLED = 2
    ABORTED = 3


class Outcome(StrEnum):
    """What became of the money."""

    OPEN = "open"
    RELEASED = "released"
    REFUNDED = "refunded"


@dataclass(frozen=True, slots=True)
class Window:
    """In blocks from the agreement's creation: not before ``timelock``, in time until ``timeout``; 0 is no limit."""

    timelock: int = 0
    timeout: int = 0

    def __post_init__(self) -> None:
        if not (0 <= self.timelock < MAX_BLOCKS and 0 <= self.timeout < MAX_BLOCKS):
            raise BadWindow(f"timelock and timeout are 0 to {MAX_BLOCKS - 1} blocks")
        if self.timeout and self.timelock >= self.timeout:
            raise BadWindow(timelock=self.timelock, timeout=self.timeout)


OPEN_WINDOW = Window()


@dataclass(frozen=True, slots=True)
class Windows:
    """One for each condition, by name. The escrow's has no timeout: what is in it would never come out again."""

    lock: Window = OPEN_WINDOW
    compute: Window = OPEN_WINDOW
    escrow: Window = OPEN_WINDOW

    def __post_init__(self) -> None:
        if self.escrow.timeout:
            raise BadWindow("the escrow must not time out: what is in it could never leave it again")


@dataclass(frozen=True, slots=True)
class Contracts:
    """Addresses of the condition contracts; the escrow's also holds the money."""

    lock: str
    compute: str
    escrow: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """What is bought and who gets what. ``return_address`` gets a refund."""

    did: Did
    consumer: str
    amounts: tuple[int, ...]
    receivers: tuple[str, ...]
    token: str
    return_address: str

    def __post_init__(self) -> None:
        if len(self.amounts) != len(self.receivers):
            raise BadShares(amounts=len(self.amounts), receivers=len(self.receivers))
        if len(self.receivers) > MAX_SHARES:
            raise BadShares(f"an agreement pays at most {MAX_SHARES} receivers, not {len(self.receivers)}")
        if any(amount < 0 for amount in self.amounts) or self.total > MAX_AMOUNT:
            raise BadShares("amounts are whole numbers from 0 whose sum has 256 bits")
        if NATIVE in (*self.receivers, self.return_address, self.consumer):
            raise BadShares("the zero address is nobody's: what went there would be lost")

    @property
    def total(self) -> int:
        """The price: what goes into escrow, and comes out of it."""
        return sum(self.amounts)


@dataclass(frozen=True, slots=True)
class ConditionIds:
    """32 bytes each."""

    lock: bytes
    compute: bytes
    escrow: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Condition:
    """``created`` is the agreement's block; ``at`` when the present state came about."""

    name: str
    id: bytes
    state: State
    window: Window
    created: int
    at: datetime

    def is_timed_out(self, block: int) -> bool:
        return bool(self.window.timeout) and block > self.created + self.window.timeout

    def fulfilled(self, block: int) -> State:
        """The state after it is fulfilled in ``block``: aborted, when that is late. Raises BadTransition, TooEarly."""
        if self.state is not State.UNFULFILLED:
            raise BadTransition(condition=self.name, state=self.state.name)
        opens = self.created + self.window.timelock
        if block < opens:
            raise TooEarly(condition=self.name, block=block, opens=opens)
        return State.ABORTED if self.is_timed_out(block) else State.FULFILLED

    def paid(self, block: int) -> State:
        """As ``fulfilled``, for the lock: what is late is refused before money moves. Raises PaidTooLate as well."""
        state = self.fulfilled(block)
        if state is State.ABORTED:
            raise PaidTooLate(block=block, closed=self.created + self.window.timeout)
        return state

    def aborted(self, block: int, *, given_up: bool) -> State:
        """The state after it is aborted: by anybody once it timed out, and before that by who gives up a right.

        Raises BadTransition, NotTimedOut.
        """
        if self.state is not State.UNFULFILLED:
            raise BadTransition(condition=self.name, state=self.state.name)
        if not given_up and not self.is_timed_out(block):
            raise NotTimedOut(condition=self.name, block=block, closes=self.created + self.window.timeout)
        return State.ABORTED


@dataclass(frozen=True, slots=True, kw_only=True)
class Agreement:
    """An agreement as its ledger sees it. ``block`` is the one that a step taken now would be in, at the earliest.

    ``creator`` made it, and with ``seed`` gives its id; ``owner`` and ``providers`` are the asset's.
    """

    id: bytes
    seed: bytes
    creator: str
    terms: Terms
    owner: str
    providers: tuple[str, ...]
    lock: Condition
    compute: Condition
    escrow: Condition
    created: int
    created_at: datetime
    block: int

    @property
    def conditions(self) -> tuple[Condition, Condition, Condition]:
        """In the order in which they are usually met."""
        return self.lock, self.compute, self.escrow

    @property
    def ids(self) -> ConditionIds:
        return ConditionIds(self.lock.id, self.compute.id, self.escrow.id)

    @property
    def outcome(self) -> Outcome:
        if self.escrow.state is State.UNFULFILLED:
            return Outcome.OPEN
        return Outcome.RELEASED if self.compute.state is State.FULFILLED else Outcome.REFUNDED

    @property
    def is_locked(self) -> bool:
        """The price has been paid, whether or not it has left the escrow since."""
        return self.lock.state is State.FULFILLED

    @property
    def is_window_over(self) -> bool:
        """Whether the computation can no longer be granted, and was not."""
        state = self.compute.state
        return state is State.ABORTED or (state is State.UNFULFILLED and self.compute.is_timed_out(self.block))

    def is_provided_by(self, address: str) -> bool:
        return address == self.owner or address in self.providers

    def payouts(self) -> tuple[tuple[str, int], ...]:
        """Who gets what when the escrow is emptied now. Raises NotLocked, Unresolved."""
        if self.lock.state is not State.FULFILLED:
            raise NotLocked
        match self.compute.state:
            case State.FULFILLED:
                return tuple(zip(self.terms.receivers, self.terms.amounts, strict=True))
            case State.ABORTED:
                return ((self.terms.return_address, self.terms.total),)
        raise Unresolved

    @classmethod
    def new(  # noqa: PLR0913 - what an agreement is made of, each by its name
        cls,
        *,
        agreement_id: bytes,
        seed: bytes,
        creator: str,
        terms: Terms,
        owner: str,
        providers: tuple[str, ...],
        windows: Windows,
        ids: ConditionIds,
        block: int,
        at: datetime,
    ) -> Self:
        """All three conditions unfulfilled, from this block on."""

        def condition(name: str, identity: bytes, window: Window) -> Condition:
            return Condition(name=name, id=identity, state=State.UNFULFILLED, window=window, created=block, at=at)

        return cls(
            id=agreement_id,
            seed=seed,
            creator=creator,
            terms=terms,
            owner=owner,
            providers=providers,
            lock=condition(LOCK, ids.lock, windows.lock),
            compute=condition(COMPUTE, ids.compute, windows.compute),
            escrow=condition(ESCROW, ids.escrow, windows.escrow),
            created=block,
            created_at=at,
            block=block,
        )
