"""The accounts of the local ledger: money moves between two of them, under locks, and nothing is lost or made."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from django.db.models import Q

from foedus.ports.ledger import Entry, Kind, NoFunds
from foedus.records.market import ledger_rows
from foedus.records.market.models import Agreement, MoneyAccount, MoneyTransfer


@dataclass(frozen=True, slots=True)
class Moment:
    """When something is written down."""

    block: int
    at: datetime


def pay_in(row: Agreement, payer: str, total: int, escrow: str, moment: Moment) -> None:
    """From the payer into the agreement's escrow. Raises NoFunds."""
    money = ledger_rows.add_escrow(address=escrow, token=row.token, escrow_of=row, balance=total)
    if total == 0:
        return
    account = ledger_rows.hold_accounts([payer], row.token)[payer]
    if account.balance < total:
        raise NoFunds(f"{payer} has {account.balance} and is to pay {total}", token=row.token)
    account.balance -= total
    ledger_rows.write_balance(account)
    ledger_rows.add_transfer(
        source=account, target=money, amount=total, kind=Kind.LOCK, agreement=row, block=moment.block, at=moment.at
    )


def pay_out(row: Agreement, payouts: Sequence[tuple[str, int]], kind: Kind, moment: Moment) -> None:
    """From the agreement's escrow to whom it is due."""
    accounts = ledger_rows.hold_accounts((address for address, _ in payouts), row.token)
    money = ledger_rows.hold_escrow(row)
    for position, (address, amount) in enumerate(payouts):
        if amount:
            money.balance -= amount
            accounts[address].balance += amount
            ledger_rows.add_transfer(
                source=money, target=accounts[address], amount=amount, kind=kind, agreement=row, leaves=True,
                position=position, block=moment.block, at=moment.at,
            )  # fmt: skip
    for account in (money, *accounts.values()):
        ledger_rows.write_balance(account)


def mint(address: str, token: str, amount: int, reference: str, moment: Moment) -> int:
    """Money out of nothing, unless this reference made some before; the balance after it."""
    account = ledger_rows.hold_accounts([address], token)[address]
    if amount and not MoneyTransfer.objects.filter(reference=reference).exists():
        account.balance += amount
        ledger_rows.write_balance(account)
        ledger_rows.add_transfer(
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
