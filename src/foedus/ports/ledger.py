"""Agreements and money: what contracts on a chain enforce, and what a ledger in our own database enforces likewise.

    register -> create -> lock -> grant -> settle (to the receivers)
                               -> abort -> settle (back to the return address)

Every verb may be called again: once what it asks for is so, it changes nothing and answers with the present state. An
agreement's id comes from its seed and its creator, so that whoever does not know whether ``create`` took effect calls
it again. Rules and their errors are those of ``core.market.escrow``.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, NoReturn, Protocol

from foedus.core.errors import Conflict, Forbidden, Invalid, NotFound, Unavailable
from foedus.core.market.dids import Did
from foedus.core.market.escrow import Agreement, Contracts, Terms, Windows

MAX_STATEMENT = 1_000
MAX_MINT = 1 << 128


class AgreementMissing(NotFound):
    """There is no such agreement."""


class AgreementExists(Conflict):
    """Id already exists: this seed was used before, for an agreement on other terms."""


class DidUnregistered(NotFound):
    """DID not registered: this asset is not known to the ledger, so that nobody could provide it."""


class DidTaken(Conflict):
    """This DID is registered by another owner."""


class ProvidersKept(Conflict):
    """It is registered with other providers; its owner changes them with a wallet, or the node's administrator does."""


class NoFunds(Conflict):
    """There is not enough money in the account that is to pay."""


class TokenMissing(NotFound):
    """This ledger does not know the token."""


class StepRefused(Conflict):
    """The contract refused the step."""


class NoFaucet(Forbidden):
    """This ledger does not make money for whoever asks."""


class NoKey(Forbidden):
    """This ledger holds no key for the address in whose name the step is to be taken."""


class LedgerUnavailable(Unavailable):
    """The ledger does not answer; what was asked may or may not have happened, and can be asked again."""


class LedgerMissing(Invalid):
    """This server keeps no ledger; install foedus[market]."""


class Kind(StrEnum):
    """Why money moved."""

    MINT = "mint"
    LOCK = "lock"
    RELEASE = "release"
    REFUND = "refund"
    TRANSFER = "transfer"  # on a chain, past all agreements


@dataclass(frozen=True, slots=True, kw_only=True)
class Network:
    """Where agreements live. ``token`` is the network's own; ``block_s`` how long a block takes, in seconds.

    ``id`` tells one ledger from another: agreements and balances of different networks have nothing in common.
    """

    id: str
    contracts: Contracts
    template: str
    token: str
    block_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """An agreement to be made. ``seed`` has 32 random bytes; ``creator`` is who takes this step."""

    seed: bytes
    creator: str
    terms: Terms
    windows: Windows


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One line of a statement. ``amount`` is above 0 for what came in; ``agreement`` is empty where there is none."""

    at: datetime
    block: int
    kind: Kind
    token: str
    amount: int
    other: str
    agreement: bytes


def check_mint(amount: int, reference: str) -> None:
    """Raise Invalid for more than all balances together could hold, and for what is no reference."""
    if not 0 <= amount < MAX_MINT:
        raise Invalid(f"at most {MAX_MINT - 1} can be minted at a time", field="amount")
    if not 0 < len(reference) <= 100:
        raise Invalid("a reference has 1 to 100 characters", field="reference")


class Agreements(Protocol):
    """Agreements and their conditions. Addresses have the capitals that check them.

    Each verb happens wholly or not at all. Of two that exclude each other, exactly one happens, whoever calls them at
    whatever moment. Any may raise LedgerUnavailable, and NoKey where steps are signed.
    """

    def network(self) -> Network: ...

    def register(
        self, did: Did, *, owner: str, providers: Sequence[str], now: datetime, may_change: bool = False
    ) -> None:
        """Make an asset known, who owns it, and who may provide it beside its owner.

        Doing so again as the same owner replaces the providers. Where the market's operator pays for it, that takes
        ``may_change``. Raises DidTaken, ProvidersKept.
        """
        ...

    def create(self, order: Order, *, now: datetime) -> Agreement:
        """Make an agreement, all three conditions unfulfilled.

        Raises DidUnregistered, TokenMissing; AgreementExists for the same id on other terms.
        """
        ...

    def get(self, agreement: bytes, *, now: datetime) -> Agreement:
        """Raises AgreementMissing."""
        ...

    def lock(self, agreement: bytes, *, payer: str, now: datetime) -> Agreement:
        """Move the price from the payer, who may be anybody, into escrow.

        Raises NoFunds, PaidTooLate, TooEarly, BadTransition once it is aborted, AgreementMissing.
        """
        ...

    def grant(self, agreement: bytes, *, by: str, now: datetime) -> Agreement:
        """Fulfil the compute condition: from now on the money is the receivers'. Allowed before the lock.

        After the timeout it ends aborted instead, without an error. Raises NotProvider, TooEarly, BadTransition once
        it is aborted, AgreementMissing.
        """
        ...

    def abort(self, agreement: bytes, *, by: str, now: datetime) -> Agreement:
        """Abort the compute condition: anybody may after its timeout, owner and providers at any time.

        Raises NotTimedOut, BadTransition once it is fulfilled, AgreementMissing.
        """
        ...

    def settle(self, agreement: bytes, *, by: str, now: datetime) -> Agreement:
        """Empty the escrow, which anybody may: to the receivers, or back to the return address.

        Raises NotLocked, Unresolved, TooEarly, AgreementMissing.
        """
        ...


class Money(Protocol):
    """Accounts by address and token; ``NATIVE`` is the ledger's own coin. Amounts are in the token's smallest unit."""

    def balance(self, address: str, token: str) -> int: ...

    def statement(self, address: str, *, limit: int = 100) -> Sequence[Entry]:
        """What came in and went out in connection with agreements, the newest first, all tokens; at most a thousand."""
        ...

    def mint(self, address: str, token: str, amount: int, *, reference: str, now: datetime) -> int:
        """Make money out of nothing; the balance after it. The same reference a second time makes no more.

        Raises NoFaucet where that is impossible or not for us to do, TokenMissing.
        """
        ...


class Ledger(Agreements, Money, Protocol):
    """Both, as every connector has them."""

    def close(self) -> None: ...


def _missing(self: "NoLedger", *_: Any, **__: Any) -> NoReturn:  # noqa: ARG001 - whatever is asked
    raise LedgerMissing


class NoLedger:
    """A server without agreements and money."""

    network = register = create = get = lock = grant = abort = settle = _missing
    balance = statement = mint = _missing

    def close(self) -> None: ...
