"""Talking to a chain: signed transactions that are sent once, waited for, and whose refusals become our errors.

A transaction is simulated first, so that what the contract refuses costs nothing. Its number (nonce) comes from the
node's own count of pending ones; where another process with the same key was faster, the next number is taken. It is
signed for the one chain that the node was of when it first answered: should its address lead to another one day,
nothing that was meant for the first happens there. What is sent is waited for until it is ``confirmations`` blocks
deep. Should a reorganisation throw it out, it stays in the node's pool and is waited for again; whoever gives up, or
dies, asks the contract next time what has happened.
"""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cached_property
from math import inf
from threading import RLock
from typing import Any, Self

from requests.exceptions import RequestException
from web3 import HTTPProvider, Web3
from web3.exceptions import BlockNotFound, ContractLogicError, TimeExhausted, TransactionNotFound, Web3Exception
from web3.middleware import ExtraDataToPOAMiddleware
from web3.providers.rpc.utils import ExceptionRetryConfiguration

from foedus.core.errors import Invalid, PlatformError
from foedus.core.market import escrow as rules
from foedus.ports import ledger as errors
from foedus.wallet.keys import Key

# What the contract says when it refuses, and what that is here; compared by their beginnings.
_REFUSALS: Mapping[str, Callable[[], PlatformError]] = {
    "Agreement missing": errors.AgreementMissing,
    "Id already exists": errors.AgreementExists,
    "DID not registered": errors.DidUnregistered,
    "DID taken": errors.DidTaken,
    "Invalid state transition": rules.BadTransition,
    "TimeLock is not over yet": rules.TooEarly,
    "Paid too late": rules.PaidTooLate,
    "Condition needs to be timed out": rules.NotTimedOut,
    "LockCondition needs to be Fulfilled": rules.NotLocked,
    "Release conditions unresolved": rules.Unresolved,
    "Invalid DID owner/provider": rules.NotProvider,
    "Invalid time margin": rules.BadWindow,
    "Amounts and Receivers arguments have wrong length": rules.BadShares,
    "Would be lost": rules.BadShares,
    "Not paid": errors.NoFunds,
    "Only the operator": errors.NoFaucet,
    "Not the owner or the operator": errors.NoKey,
}
_NUMBER_TAKEN = ("nonce too low", "already known", "replacement transaction underpriced", "nonce is too low")
_TRIES = 8
_NEW_WORD_GAS = 22_100
_TIMEOUTS_S = (5, 20)  # to be reached, and to answer


class WrongChain(Invalid):
    """The node is one of another chain."""


class Chain:
    """A node of the chain, and the keys that we may sign with."""

    def __init__(
        self, web3: Web3, keys: Sequence[Key], *, confirmations: int, timeout_s: float, chain_id: int | None = None
    ) -> None:
        """``chain_id`` is the chain's that is meant; without one, it is whichever the node is of."""
        self.web3 = web3
        self._wanted_id = chain_id
        self._keys = {key.address: key for key in keys}
        self._confirmations = confirmations
        self._timeout_s = timeout_s
        self.turn = RLock()  # transactions of one process follow each other, or their numbers would collide

    @classmethod
    def at(cls, node: str, key: Key, confirmations: int, chain_id: int | None = None) -> Self:
        """The chain of the node at that address."""
        again = ExceptionRetryConfiguration(errors=(RequestException,), retries=2)
        web3 = Web3(HTTPProvider(node, request_kwargs={"timeout": _TIMEOUTS_S}, exception_retry_configuration=again))
        web3.middleware_onion.inject(ExtraDataToPOAMiddleware, layer=0)  # chains by authority have longer headers
        return cls(web3, [key], confirmations=confirmations, timeout_s=120, chain_id=chain_id)

    @cached_property
    def id(self) -> int:
        """Asked for once. Raises WrongChain where another is meant, LedgerUnavailable."""
        with answering():
            found = int(self.web3.eth.chain_id)
        if self._wanted_id not in (None, found):
            raise WrongChain(f"the node is one of chain {found}, and the ledger is on chain {self._wanted_id}")
        return found

    def key_of(self, address: str) -> Key:
        """Raises NoKey."""
        try:
            return self._keys[address]
        except KeyError:
            raise errors.NoKey(
                f"this server has no key of {address}; take this step with a wallet that has, then ask again"
            ) from None

    def has_key(self, address: str) -> bool:
        return address in self._keys

    def head(self) -> int:
        """The newest block."""
        with answering():
            return int(self.web3.eth.block_number)

    def settled_head(self) -> int:
        """The newest block that is deep enough to be relied on."""
        return max(self.head() - self._confirmations, 0)

    def send(self, call: Any, sender: str, value: int = 0, *, deep: bool = True) -> Any:
        """Have a contract do something; the receipt, once that is confirmed (or, if not ``deep``, in a block).

        Raises what the contract's refusal means.
        """
        return self.wait(self.post(call, sender, value), deep=deep)

    def post(self, call: Any, sender: str, value: int = 0) -> Any:
        """Send a transaction, and do not wait: its hash."""
        key = self.key_of(sender)
        with answering(), self.turn:
            return self._sent(call, key, value)

    def is_pending(self, sent: Any) -> bool:
        """Whether what was sent waits in the node's pool: it is in no block, and the node has not dropped it."""
        with answering():
            try:
                return self.web3.eth.get_transaction(sent).get("blockNumber") is None
            except TransactionNotFound:
                return False

    def wait(self, sent: Any, *, deep: bool = True, within_s: float = inf) -> Any:
        """The receipt of what was sent, as soon as it can be relied on. Raises LedgerUnavailable, BadTransition."""
        deadline = time.monotonic() + min(self._timeout_s, within_s)
        depth = self._confirmations if deep else 0
        with answering():
            while True:
                left = max(deadline - time.monotonic(), 0.1)
                receipt = self.web3.eth.wait_for_transaction_receipt(sent, timeout=left, poll_latency=0.1)
                if self.head() >= receipt["blockNumber"] + depth and self._is_still_there(receipt):
                    if not receipt["status"]:
                        raise rules.BadTransition("the chain undid the step: its agreement changed in the meantime")
                    return receipt
                if time.monotonic() > deadline:
                    raise errors.LedgerUnavailable(
                        f"the step was sent, and is not {depth} blocks deep yet; ask again later "
                        "(a node for development may make no blocks by itself: give it a block time)"
                    )
                time.sleep(0.2)

    def _sent(self, call: Any, key: Key, value: int) -> Any:
        for attempt in range(_TRIES):
            number = self.web3.eth.get_transaction_count(_address(key), "pending")
            paid = {"from": key.address, "value": value}
            gas = _with_room(call.estimate_gas(paid))
            fields = call.build_transaction({**paid, "nonce": number, "chainId": self.id, "gas": gas})
            signed = self.web3.eth.account.sign_transaction(fields, key.secret)
            try:
                return self.web3.eth.send_raw_transaction(signed.raw_transaction)
            except (Web3Exception, ValueError) as exc:
                if attempt + 1 == _TRIES or not any(words in str(exc).lower() for words in _NUMBER_TAKEN):
                    raise
                time.sleep(0.05 * 2**attempt)
        raise AssertionError  # the last attempt returns or raises

    def _is_still_there(self, receipt: Any) -> bool:
        """Whether its block is one of the chain: some nodes still tell of those that a reorganisation threw out."""
        try:
            return bool(self.web3.eth.get_block(receipt["blockNumber"])["hash"] == receipt["blockHash"])
        except BlockNotFound:
            return False


@contextmanager
def answering() -> Iterator[None]:
    """Errors of the node and refusals of contracts end here."""
    try:
        yield
    except ContractLogicError as exc:
        raise _refusal(exc.message or str(exc)) from exc
    except TimeExhausted as exc:
        raise errors.LedgerUnavailable("the step was sent, and is in no block yet; ask again later") from exc
    except (Web3Exception, RequestException, OSError, ValueError) as exc:
        if "insufficient funds" in str(exc).lower() or "does not have enough balance" in str(exc).lower():
            raise errors.NoFunds("the account cannot pay for the step: price and gas") from exc
        raise errors.LedgerUnavailable(reason=type(exc).__name__) from exc


def _refusal(message: str) -> PlatformError:
    said = message.removeprefix("execution reverted").lstrip(": ")
    for words, error in _REFUSALS.items():
        if said.startswith(words):
            return error()
    return errors.StepRefused(f"the contract refused the step: {said[:200] or 'it gave no reason'}")


def _with_room(estimated: int) -> int:
    """Gas to allow for a step. What is not used costs nothing, and too little undoes the step, which costs it all.

    An estimate is exact for the block it was made for. In the next, time has passed and others were paid, so that words
    of storage which stayed as they were, or were not the first of their kind, may have to be written anew.
    """
    return estimated + estimated // 4 + 2 * _NEW_WORD_GAS


def _address(key: Key) -> Any:
    return Web3.to_checksum_address(key.address)
