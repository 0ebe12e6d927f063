"""A ledger on a chain that runs the Ethereum virtual machine: our own contracts, driven through web3.

Nothing has to be remembered here. Before each step the contract is asked how things stand, so that a step that has
happened already, whoever took it and whoever died in it, is not taken again. What is reported is the state some blocks
ago (``confirmations``), which a reorganisation can no longer change.

Steps are signed with the key of whoever takes them; those without a key here are taken with a wallet.
"""

from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import datetime
from functools import cached_property
from math import isfinite
from pathlib import Path
from typing import Any, Self
from urllib.parse import parse_qsl, urlsplit

import structlog
from eth_hash.auto import keccak

from foedus.connectors.addresses import BadAddress, split_address
from foedus.connectors.ledger.evm.chain import Chain, answering
from foedus.connectors.ledger.evm.contracts import artifact
from foedus.connectors.ledger.evm.encoding import address_of, decoded, encoded
from foedus.connectors.ledger.evm.movements import Movements
from foedus.core.errors import Conflict, Invalid
from foedus.core.market.aliases import COMPUTE, ESCROW, LOCK
from foedus.core.market.dids import Did
from foedus.core.market.escrow import (
    NATIVE,
    Agreement,
    Contracts,
    State,
    Windows,
)
from foedus.ports.ledger import (
    MAX_STATEMENT,
    AgreementExists,
    AgreementMissing,
    Entry,
    LedgerUnavailable,
    Network,
    NoFaucet,
    NoFunds,
    Order,
    ProvidersKept,
    TokenMissing,
    check_mint,
)
from foedus.ports.secrets import Secrets
from foedus.services.market.node import node_key
from foedus.services.market.purchases import agreement_id, check_order
from foedus.wallet.keys import checked_address

log = structlog.get_logger()

_REGISTER_S = 5.0
_REGISTERING = 1_000  # registrations on their way that are remembered, lest they are sent and paid for twice
_OPTIONS = ("contract", "token", "chain_id", "confirmations", "block_seconds", "since")


class EvmLedger:
    """``contract`` and ``token`` are where ours were deployed; ``since`` the block from which statements are read.

    The node need not be there yet: until it is, every verb raises LedgerUnavailable.
    """

    def __init__(
        self,
        chain: Chain,
        contract: str,
        token: str,
        *,
        block_s: float = 12.0,
        since: int = 0,
    ) -> None:
        self._node = chain
        self._contract, self._token = contract, token
        self._block_s = block_s
        self._since = since
        self._registering: dict[bytes, tuple[list[str], Any]] = {}

    @cached_property
    def _chain(self) -> Chain:
        """The chain, once its node has answered and ours were found on it. Raises LedgerUnavailable."""
        try:
            self.check()
        except Invalid as exc:  # it was away at the start, and is not what was meant: nothing a client could put right
            raise LedgerUnavailable(exc.message) from exc
        return self._node

    @cached_property
    def _agreements(self) -> Any:
        return self._chain.web3.eth.contract(address=address_of(self._contract), abi=artifact("Agreements")["abi"])

    def check(self) -> None:
        """Raises WrongChain, BadAddress where the contracts are not on it, LedgerUnavailable."""
        for name, address in (("contract", self._contract), ("token", self._token)):
            here = self._node.id
            with answering():
                if not self._node.web3.eth.get_code(address_of(address)):
                    raise BadAddress(f"There is nothing on chain {here} at {address}, the {name}.", scheme="evm")

    @classmethod
    def from_url(cls, url: str, *, data: Path, secrets: Secrets) -> Self:  # noqa: ARG003 - as connectors are called
        """``evm:http://node:8545?contract=0x...&token=0x...``, and as options what ``_OPTIONS`` has beside these."""
        split_address(url, options=_OPTIONS)
        endpoint, _, query = url.removeprefix("evm:").partition("?")
        options = dict(parse_qsl(query))
        if not endpoint.startswith(("http://", "https://")) or not {"contract", "token"} <= options.keys():
            raise BadAddress("Write evm:http://NODE:PORT?contract=0x...&token=0x....", scheme="evm")
        expected = int(_number(options, "chain_id", 0)) or None
        chain = Chain.at(endpoint, node_key(secrets), int(_number(options, "confirmations", 2)), expected)
        ledger = cls(
            chain,
            checked_address(options["contract"]),
            checked_address(options["token"]),
            block_s=_number(options, "block_seconds", 12),
            since=int(_number(options, "since", 0)),
        )
        try:
            ledger.check()
        except LedgerUnavailable as exc:  # the rest of the server need not wait for it
            log.warning("ledger.away", node=urlsplit(endpoint).hostname, reason=exc.context.get("reason", exc.message))
        return ledger

    def network(self) -> Network:
        at = str(self._agreements.address)
        contracts = Contracts(lock=at, compute=at, escrow=at)
        name = f"evm:{self._chain.id}:{at}"
        return Network(id=name, contracts=contracts, template=at, token=self._token, block_s=self._block_s)

    def register(
        self, did: Did, *, owner: str, providers: Sequence[str], now: datetime, may_change: bool = False  # noqa: ARG002
    ) -> None:  # fmt: skip
        """Waits for a few seconds only, as anybody with an asset may ask. Asked again, it waits for what was sent."""
        wanted = [checked_address(each) for each in providers]
        with self._chain.turn:
            listed, sent = self._registering.get(did.value, ([], None))
            if sent is None or not self._chain.is_pending(sent):
                self._registering.pop(did.value, None)
                if self._is_registered(did, owner, wanted, may_change=may_change):
                    return
                listed, sent = wanted, self._post_registration(did, owner, wanted)
                self._registering[did.value] = listed, sent
                for oldest in list(self._registering)[:-_REGISTERING]:
                    del self._registering[oldest]
        if listed != wanted:
            raise LedgerUnavailable("its registration with other providers is being confirmed; ask again later")
        self._chain.wait(sent, within_s=_REGISTER_S)

    def _is_registered(self, did: Did, owner: str, wanted: list[str], *, may_change: bool) -> bool:
        functions = self._agreements.functions
        with answering():
            if functions.owners(did.value).call() != owner:
                return False
            if functions.providers_of(did.value).call() == wanted:
                return True
        if not may_change:
            raise ProvidersKept(did=str(did))
        return False

    def _post_registration(self, did: Did, owner: str, wanted: list[str]) -> Any:
        functions = self._agreements.functions
        with answering():
            operator = functions.operator().call()
        sender = owner if operator != owner and self._chain.has_key(owner) else operator
        return self._chain.post(functions.register(did.value, address_of(owner), wanted), sender)

    def create(self, order: Order, *, now: datetime) -> Agreement:
        check_order(order, self.network().contracts)
        if order.terms.token != NATIVE:
            with answering():
                if not self._chain.web3.eth.get_code(address_of(order.terms.token)):
                    raise TokenMissing("there is no token at this address", token=order.terms.token)
        identity = agreement_id(order.seed, order.creator)
        made = self._find(identity)
        if made is None:
            windows = (order.windows.lock, order.windows.compute, order.windows.escrow)
            call = self._agreements.functions.create(
                order.seed, encoded(order.terms), [w.timelock for w in windows], [w.timeout for w in windows]
            )
            with suppress(AgreementExists):  # another process was faster
                self._chain.send(call, order.creator)
            made = self.get(identity, now=now)
        if (made.terms, Windows(made.lock.window, made.compute.window, made.escrow.window)) != (
            order.terms,
            order.windows,
        ):
            raise AgreementExists(agreement=identity.hex())
        return made

    def get(self, agreement: bytes, *, now: datetime) -> Agreement:  # noqa: ARG002 - the chain has its own time
        found = self._find(agreement, self._chain.settled_head())
        if found is None:
            raise AgreementMissing(agreement=agreement.hex())
        return found

    def lock(self, agreement: bytes, *, payer: str, now: datetime) -> Agreement:
        with self._chain.turn:  # what is approved for one payment must not be overwritten for another
            seen = self._get(agreement)
            if seen.lock.state is State.FULFILLED:
                return self.get(agreement, now=now)
            seen.lock.paid(seen.block)  # before anything is approved
            native = seen.terms.token == NATIVE
            if self.balance(payer, seen.terms.token) < seen.terms.total:
                raise NoFunds(f"{payer} has less than {seen.terms.total}", token=seen.terms.token)
            if not native:
                self._approve(seen.terms.token, payer, seen.terms.total)
            call = self._agreements.functions.lock(agreement)
            sent = self._chain.post(call, payer, seen.terms.total if native else 0)
        return self._taken(lambda: self._chain.wait(sent), seen, LOCK, State.FULFILLED)

    def grant(self, agreement: bytes, *, by: str, now: datetime) -> Agreement:
        seen = self._get(agreement)
        if seen.compute.state is State.FULFILLED and seen.is_provided_by(by):
            return self.get(agreement, now=now)
        return self._step(self._agreements.functions.grant(agreement), by, seen, COMPUTE)

    def abort(self, agreement: bytes, *, by: str, now: datetime) -> Agreement:
        seen = self._get(agreement)
        if seen.compute.state is State.ABORTED:
            return self.get(agreement, now=now)
        return self._step(self._agreements.functions.abort(agreement), by, seen, COMPUTE, State.ABORTED)

    def settle(self, agreement: bytes, *, by: str, now: datetime) -> Agreement:
        seen = self._get(agreement)
        if seen.escrow.state is not State.UNFULFILLED:
            return self.get(agreement, now=now)
        return self._step(self._agreements.functions.settle(agreement), by, seen, ESCROW)

    def balance(self, address: str, token: str) -> int:
        with answering():
            if token == NATIVE:
                return int(self._chain.web3.eth.get_balance(address_of(checked_address(address))))
            return int(self._erc20(token).functions.balanceOf(address_of(checked_address(address))).call())

    def statement(self, address: str, *, limit: int = 100) -> Sequence[Entry]:
        wanted = min(max(limit, 0), MAX_STATEMENT)
        movements = Movements(self._chain, self._agreements, self._erc20(self._token))
        return movements.of(checked_address(address), wanted, self._since)

    def mint(self, address: str, token: str, amount: int, *, reference: str, now: datetime) -> int:  # noqa: ARG002
        check_mint(amount, reference)
        if token == NATIVE:
            raise NoFaucet("a chain's own coin is not ours to make")
        if token != self._token:
            raise TokenMissing(f"this ledger makes the token {self._token} alone", token=token[:80])
        functions, mark = self._erc20(token).functions, keccak(reference.encode())
        with answering():
            operator, minted = functions.operator().call(), functions.minted(mark).call()
        if amount and not minted:
            self._chain.send(functions.mint(address_of(checked_address(address)), amount, mark), operator)
        return self.balance(address, token)

    def close(self) -> None: ...

    def _step(self, call: Any, by: str, seen: Agreement, name: str, wanted: State = State.FULFILLED) -> Agreement:
        return self._taken(lambda: self._chain.send(call, by), seen, name, wanted)

    def _taken(self, step: Callable[[], Any], seen: Agreement, name: str, wanted: State) -> Agreement:
        """The agreement after a step; where another was faster with the same one, that is as good."""
        try:
            step()
        except Conflict:
            after = next(each for each in self._get(seen.id).conditions if each.name == name)
            if after.state is not wanted:
                raise
        return self.get(seen.id, now=seen.created_at)

    def _get(self, agreement: bytes) -> Agreement:
        """The agreement as of the newest block, which may still change."""
        found = self._find(agreement)
        if found is None:
            raise AgreementMissing(agreement=agreement.hex())
        return found

    def _find(self, agreement: bytes, block: int | None = None) -> Agreement | None:
        with answering():
            row, owner, providers = self._agreements.functions.get(agreement).call(block_identifier=block or "latest")
            return decoded(agreement, row, owner, providers, self._chain.head() + 1)

    def _approve(self, token: str, payer: str, total: int) -> None:
        functions = self._erc20(token).functions
        with answering():
            # What is on its way counts: it will have used up its own allowance.
            allowed = functions.allowance(address_of(payer), self._agreements.address).call(block_identifier="pending")
        if allowed < total:
            self._chain.send(functions.approve(self._agreements.address, total), payer, deep=False)

    def _erc20(self, token: str) -> Any:
        return self._chain.web3.eth.contract(address=address_of(token), abi=artifact("Token")["abi"])


def _number(options: dict[str, str], name: str, default: float) -> float:
    try:
        number = float(options.get(name, default))
    except ValueError:
        number = -1
    if not isfinite(number) or not 0 <= number < 1e12:
        raise BadAddress(f"{name} is a number from 0.", scheme="evm")
    return number
