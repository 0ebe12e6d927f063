"""A ledger in foedus' own database, for markets whose parties trust whoever runs this server.

Addresses of its contracts are names, behind which there is no code. Steps are taken in the name of whom the services
have found entitled to it; nothing is signed. A block takes ``block_seconds``; with 0, every step is a block.
"""

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Self

from django.db import IntegrityError, transaction
from django.db.models import F

from foedus.connectors.addresses import BadAddress, split_address
from foedus.connectors.ledger.local.books import Moment, balance_of, entries_of, mint, pay_in, pay_out
from foedus.core.market.dids import Did
from foedus.core.market.escrow import (
    NATIVE,
    Agreement,
    Condition,
    Contracts,
    NotProvider,
    State,
    Terms,
    Window,
    Windows,
)
from foedus.ports.ledger import (
    MAX_STATEMENT,
    AgreementExists,
    AgreementMissing,
    DidTaken,
    DidUnregistered,
    Entry,
    Kind,
    Network,
    Order,
    TokenMissing,
    check_mint,
)
from foedus.ports.secrets import Secrets
from foedus.records.market import ledger_rows
from foedus.records.market import models as rows
from foedus.services.market.purchases import agreement_id, check_order, condition_ids
from foedus.wallet.keys import checked_address

# Nobody has keys for them: they are the ends of the hashes of foedus:LockPaymentCondition and so on, written out since
# every start would wait for the library that computes them.
_CONTRACTS = Contracts(
    lock="0x5A4143489A8E78d22Aa0da2950eDffA979394d13",
    compute="0x4472E83aD1eD24d753e1c02E40537DD2476Df79b",
    escrow="0xc7DA76061a0f33A5c3F6b482CE0eD65B340129fD",
)
_TEMPLATE = "0xFff1dda275FaAAf6f3305E088100608354f3E0Cd"
TOKEN = "0x53365e5c3F88721f21A0B7277356A38ccf444e3a"  # noqa: S105 - an address


class LocalLedger:
    def __init__(self, block_s: float = 1.0) -> None:
        self._block_s = block_s

    @classmethod
    def from_url(cls, url: str, *, data: Path, secrets: Secrets | None = None) -> Self:  # noqa: ARG003 - as all are
        parts, options = split_address(url, options=["block_seconds"])
        if parts.netloc or parts.path:
            raise BadAddress("Write local: or local:?block_seconds=1.", scheme=parts.scheme)
        try:
            block_s = float(options.get("block_seconds", "1"))
        except ValueError:
            block_s = math.nan
        if not 0 <= block_s <= 86_400:
            raise BadAddress("block_seconds is a number from 0 to 86400.", scheme=parts.scheme)
        return cls(block_s)

    def network(self) -> Network:
        return Network(id="local", contracts=_CONTRACTS, template=_TEMPLATE, token=TOKEN, block_s=self._block_s)

    def register(
        self, did: Did, *, owner: str, providers: Sequence[str], now: datetime, may_change: bool = False  # noqa: ARG002 - it costs nothing
    ) -> None:  # fmt: skip
        wanted = [checked_address(provider) for provider in providers]
        with self._step(now):
            row, _ = rows.RegisteredAsset.objects.get_or_create(did=did.hex, defaults={"owner": checked_address(owner)})
            row = rows.RegisteredAsset.objects.select_for_update().get(pk=row.pk)
            if row.owner != owner:
                raise DidTaken(did=str(did))
            row.providers = wanted
            row.save(update_fields=["providers"])

    def create(self, order: Order, *, now: datetime) -> Agreement:
        check_order(order, _CONTRACTS)
        _known(order.terms.token)
        identity = agreement_id(order.seed, order.creator)
        try:
            with self._step(now) as moment:
                made = self._write(identity, order, moment)
        except IntegrityError:  # it was made before, or somebody else was faster
            return self._same(identity, order, now)
        return self._after(made, moment)

    def get(self, agreement: bytes, *, now: datetime) -> Agreement:
        return _found(agreement, self._next_block(now))[1]

    def lock(self, agreement: bytes, *, payer: str, now: datetime) -> Agreement:
        with self._step(now) as moment:
            row, view = self._held(agreement, moment)
            if view.lock.state is State.FULFILLED:
                return view
            view = replace(view, lock=_changed(view.lock, view.lock.paid(moment.block), moment))
            pay_in(row, checked_address(payer), view.terms.total, _CONTRACTS.escrow, moment)
        return self._after(view, moment)

    def grant(self, agreement: bytes, *, by: str, now: datetime) -> Agreement:
        with self._step(now) as moment:
            _, view = self._held(agreement, moment)
            if not view.is_provided_by(by):
                raise NotProvider(address=by)
            if view.compute.state is State.FULFILLED:
                return view
            view = replace(view, compute=_changed(view.compute, view.compute.fulfilled(moment.block), moment))
        return self._after(view, moment)

    def abort(self, agreement: bytes, *, by: str, now: datetime) -> Agreement:
        with self._step(now) as moment:
            _, view = self._held(agreement, moment)
            if view.compute.state is State.ABORTED:
                return view
            state = view.compute.aborted(moment.block, given_up=view.is_provided_by(by))
            view = replace(view, compute=_changed(view.compute, state, moment))
        return self._after(view, moment)

    def settle(self, agreement: bytes, *, by: str, now: datetime) -> Agreement:  # noqa: ARG002 - anybody may
        with self._step(now) as moment:
            row, view = self._held(agreement, moment)
            if view.escrow.state is not State.UNFULFILLED:
                return view
            payouts = view.payouts()
            view = replace(view, escrow=_changed(view.escrow, view.escrow.fulfilled(moment.block), moment))
            pay_out(row, payouts, Kind.RELEASE if view.compute.state is State.FULFILLED else Kind.REFUND, moment)
        return self._after(view, moment)

    def balance(self, address: str, token: str) -> int:
        return balance_of(checked_address(address), _known(token))

    def statement(self, address: str, *, limit: int = 100) -> Sequence[Entry]:
        return entries_of(checked_address(address), min(max(limit, 0), MAX_STATEMENT))

    def mint(self, address: str, token: str, amount: int, *, reference: str, now: datetime) -> int:
        check_mint(amount, reference)
        with self._step(now) as moment:
            return mint(checked_address(address), _known(token), amount, reference, moment)

    def mine(self, blocks: int, *, now: datetime) -> None:
        """Let that many blocks pass in which nothing happens."""
        with transaction.atomic():
            _head(now)
            rows.LedgerHead.objects.filter(pk=ledger_rows.HEAD).update(mined=F("mined") + blocks)

    def close(self) -> None: ...

    @contextmanager
    def _step(self, now: datetime) -> Iterator[Moment]:
        """One step is one transaction, and on a ledger without block time a block."""
        with transaction.atomic():
            block = self._next_block(now)
            if not self._block_s:
                _head(now)
                rows.LedgerHead.objects.filter(pk=ledger_rows.HEAD).update(mined=F("mined") + 1)
                block = rows.LedgerHead.objects.values_list("mined", flat=True).get(pk=ledger_rows.HEAD)
            yield Moment(block, now)

    def _next_block(self, now: datetime) -> int:
        began_at, mined = _head(now)
        passed = max(now - began_at, timedelta(0)).total_seconds()
        return mined + 1 + (int(passed / self._block_s) if self._block_s else 0)

    def _after(self, view: Agreement, moment: Moment) -> Agreement:
        """As it is once the step is written down: another step would be in the next block, or in one of this time."""
        return replace(view, block=moment.block if self._block_s else moment.block + 1)

    def _held(self, agreement: bytes, moment: Moment) -> tuple[rows.Agreement, Agreement]:
        """The agreement, for the rest of the transaction."""
        return _found(agreement, moment.block, held=True)

    def _write(self, identity: bytes, order: Order, moment: Moment) -> Agreement:
        terms = order.terms
        asset = ledger_rows.find_registered(terms.did.hex)
        if asset is None:
            raise DidUnregistered(did=str(terms.did))
        row = ledger_rows.add_agreement(
            agreement=identity.hex(), seed=order.seed.hex(), creator=order.creator, asset=asset,
            consumer=terms.consumer, amounts=[str(amount) for amount in terms.amounts], receivers=list(terms.receivers),
            token=terms.token, return_address=terms.return_address, block=moment.block, created_at=moment.at,
        )  # fmt: skip
        view = Agreement.new(
            agreement_id=identity, seed=order.seed, creator=order.creator, terms=terms, owner=asset.owner,
            providers=tuple(asset.providers), windows=order.windows, block=moment.block, at=moment.at,
            ids=condition_ids(identity, terms, _CONTRACTS),
        )  # fmt: skip
        states = [
            (each.name, each.id.hex(), each.state.value, each.window.timelock, each.window.timeout)
            for each in view.conditions
        ]
        ledger_rows.add_conditions(row, states, moment.at)
        return view

    def _same(self, identity: bytes, order: Order, now: datetime) -> Agreement:
        """The agreement of this id, if it is the one that is ordered."""
        view = self.get(identity, now=now)
        windows = Windows(view.lock.window, view.compute.window, view.escrow.window)
        if (view.terms, windows) != (order.terms, order.windows):
            raise AgreementExists(agreement=identity.hex())
        return view


def _found(agreement: bytes, block: int, *, held: bool = False) -> tuple[rows.Agreement, Agreement]:
    conditions = ledger_rows.conditions_of(agreement.hex(), held=held)
    if not conditions:
        raise AgreementMissing(agreement=agreement.hex())
    return conditions[0].agreement, _view(conditions, block)


def _head(now: datetime) -> tuple[datetime, int]:
    head = ledger_rows.find_head()
    if head is None:
        made, _ = rows.LedgerHead.objects.get_or_create(pk=ledger_rows.HEAD, defaults={"began_at": now})
        return made.began_at, made.mined
    return head


def _known(token: str) -> str:
    if token not in (TOKEN, NATIVE):
        raise TokenMissing(f"this ledger has the token {TOKEN} and its own coin {NATIVE}", token=token[:80])
    return token


def _changed(condition: Condition, state: State, moment: Moment) -> Condition:
    ledger_rows.change_condition(condition.id.hex(), state.value, moment.at)
    return replace(condition, state=state, at=moment.at)


def _view(conditions: Sequence[rows.AgreementCondition], block: int) -> Agreement:
    row = conditions[0].agreement
    found = {
        each.name: Condition(
            name=each.name,
            id=bytes.fromhex(each.condition),
            state=State(each.state),
            window=Window(each.timelock, each.timeout),
            created=row.block,
            at=each.changed_at,
        )
        for each in conditions
    }
    terms = Terms(
        did=Did(bytes.fromhex(row.asset.did)), consumer=row.consumer, receivers=tuple(row.receivers),
        amounts=tuple(int(amount) for amount in row.amounts), token=row.token, return_address=row.return_address,
    )  # fmt: skip
    return Agreement(
        id=bytes.fromhex(row.agreement),
        seed=bytes.fromhex(row.seed),
        creator=row.creator,
        terms=terms,
        owner=row.asset.owner,
        providers=tuple(row.asset.providers),
        lock=found["lockPayment"],
        compute=found["execCompute"],
        escrow=found["escrowPayment"],
        created=row.block,
        created_at=row.created_at,
        block=block,
    )
