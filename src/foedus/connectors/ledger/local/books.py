"""The accounts of the local ledger: money moves between two of them, under locks, and nothing is lost or made."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from django.db.models import Q

from foedus.ports.ledger import Entry, Kind, NoFunds
from foedus.records.market.models import Agreement, MoneyAccount, MoneyTransfer


@dataclass(frozen=True, slots=True)
class Moment:
    """When something is written down."""

    block: int
    at: datetime


def pay_in(row: Agreement, payer: str, total: int, escrow: str, moment: Moment) -> None:
    """From the payer into the agreement's escrow. Raises NoFunds."""
    money = MoneyAccount.objects.create(address=escrow, token=row.token, escrow_of=row)
    if total == 0:
        return
    account = _locked(payer, row.token)
    if account.balance < total:
        raise NoFunds(f"{payer} has {account.balance} and is to pay {total}", token=row.token)
    _move(account, money, total, Kind.LOCK, moment, agreement=row)


def pay_out(row: Agreement, payouts: Sequence[tuple[str, int]], kind: Kind, moment: Moment) -> None:
    """From the agreement's escrow to whom it is due."""
    money = MoneyAccount.objects.select_for_update().get(escrow_of=row)
    accounts = {address: _locked(address, row.token) for address in sorted({address for address, _ in payouts})}
    for position, (address, amount) in enumerate(payouts):
        if amount:
            _move(money, accounts[address], amount, kind, moment, agreement=row, leaves=True, position=position)


def mint(address: str, token: str, amount: int, reference: str, moment: Moment) -> int:
    """Money out of nothing, unless this reference made some before; the balance after it."""
    account = _locked(address, token)
    if amount and not MoneyTransfer.objects.filter(reference=reference).exists():
        account.balance += amount
        account.save(update_fields=["balance"])
        MoneyTransfer.objects.create(
            target=account, amount=amount, kind=Kind.MINT, reference=reference, block=moment.block, at=moment.at
        )
    return account.balance


def balance_of(address: str, token: str) -> int:
    return sum(
        MoneyAccount.objects.filter(address=address, token=token, balance__gt=0).values_list("balance", flat=True)
    )


def entries_of(address: str, limit: int) -> list[Entry]:
    rows = MoneyTransfer.objects.filter(Q(source__address=address) | Q(target__address=address))
    related = rows.select_related("source", "target", "agreement").order_by("-pk")
    return [_entry(row, address) for row in related[:limit]]


def _locked(address: str, token: str) -> MoneyAccount:
    found, _ = MoneyAccount.objects.get_or_create(address=address, token=token, escrow_of=None)
    return MoneyAccount.objects.select_for_update().get(pk=found.pk)


def _move(
    source: MoneyAccount,
    target: MoneyAccount,
    amount: int,
    kind: Kind,
    moment: Moment,
    *,
    agreement: Agreement,
    leaves: bool = False,
    position: int = 0,
) -> None:
    source.balance -= amount
    target.balance += amount
    source.save(update_fields=["balance"])
    target.save(update_fields=["balance"])
    MoneyTransfer.objects.create(
        source=source, target=target, amount=amount, kind=kind, agreement=agreement, leaves=leaves,
        position=position, block=moment.block, at=moment.at,
    )  # fmt: skip


def _entry(row: MoneyTransfer, address: str) -> Entry:
    came_in = row.target.address == address
    other = (row.source.address if row.source else "") if came_in else row.target.address
    return Entry(
        at=row.at,
        block=row.block,
        kind=Kind(row.kind),
        token=row.target.token,
        amount=row.amount if came_in else -row.amount,
        other=other,
        agreement=bytes.fromhex(row.agreement.agreement) if row.agreement else b"",
    )
