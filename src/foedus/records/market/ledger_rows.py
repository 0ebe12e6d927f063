"""What the ledger asks of its tables and writes there, step by step: statements that are written once.

Every step of an agreement takes a handful of them, and Django's writing them anew took most of it.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime

from foedus.records.market.models import (
    Agreement,
    AgreementCondition,
    LedgerHead,
    MoneyAccount,
    MoneyTransfer,
    RegisteredAsset,
)
from foedus.records.prepared import Many, Prepared, PreparedInsert, PreparedInserts, PreparedRows, PreparedUpdate
from foedus.records.statements import Slot

HEAD = 1
# An agreement is read by its conditions, which are what changes of it: all of them by one question.
_CONDITIONS = AgreementCondition.objects.select_related("agreement__asset").order_by("pk")
_one_head = PreparedRows(lambda: LedgerHead.objects.filter(pk=HEAD).values_list("began_at", "mined"))
_one_asset = Prepared(lambda: RegisteredAsset.objects.filter(did=Slot("did")))
_conditions = Prepared(lambda: _CONDITIONS.filter(agreement__agreement=Slot("agreement")))
# The agreement is locked first: in a rolling restart there are servers that lock it alone, and change conditions then.
_held = Prepared(
    lambda: _CONDITIONS.filter(agreement__agreement=Slot("agreement")).select_for_update(of=("agreement", "self"))
)
_state = PreparedUpdate(
    lambda: (
        AgreementCondition.objects.filter(condition=Slot("condition")),
        {"state": Slot("state"), "changed_at": Slot("at")},
    )
)
_add_conditions = PreparedInserts(AgreementCondition, "name", "condition", "state", "timelock", "timeout")
_accounts = Many(
    lambda keys: Prepared(
        lambda: (
            MoneyAccount.objects.filter(address__in=keys, token=Slot("token"), escrow_of=None)
            .select_for_update()
            .order_by("pk")
        )
    )
)
_escrow = Prepared(lambda: MoneyAccount.objects.filter(escrow_of=Slot("agreement")).select_for_update())
_balance = PreparedUpdate(lambda: (MoneyAccount.objects.filter(pk=Slot("pk")), {"balance": Slot("balance")}))
_open_account = PreparedInsert(MoneyAccount, unless_there=True)

add_agreement = PreparedInsert(Agreement)
add_escrow = PreparedInsert(MoneyAccount)
add_transfer = PreparedInsert(MoneyTransfer)


def find_head() -> tuple[datetime, int] | None:
    """When the ledger began, and how many blocks were mined by hand."""
    for began_at, mined in _one_head():
        return began_at, mined
    return None


def find_registered(did: str) -> RegisteredAsset | None:
    return _one_asset.first(did=did)


def conditions_of(agreement: str, *, held: bool) -> Sequence[AgreementCondition]:
    """With their agreement and its asset, none where there is no such agreement; ``held``: for the transaction."""
    return (_held if held else _conditions).all(agreement=agreement)


def change_condition(condition: str, state: int, at: datetime) -> None:
    _state(condition=condition, state=state, at=at)


def add_conditions(agreement: Agreement, each: Sequence[tuple[str, str, int, int, int]], at: datetime) -> None:
    """``each`` by name, id, state, timelock and timeout."""
    _add_conditions(each, agreement=agreement, changed_at=at)


def hold_accounts(addresses: Iterable[str], token: str) -> dict[str, MoneyAccount]:
    """The account of each, for the rest of the transaction; everybody locks them in one order."""
    wanted = sorted(set(addresses))
    found = _held_accounts(wanted, token)
    missing = [address for address in wanted if address not in found]
    for address in missing:
        _open_account(address=address, token=token, balance=0)
    return _held_accounts(wanted, token) if missing else found


def hold_escrow(agreement: Agreement) -> MoneyAccount:
    (found,) = _escrow.all(agreement=agreement.pk)
    return found


def write_balance(account: MoneyAccount) -> None:
    _balance(pk=account.pk, balance=account.balance)


def _held_accounts(addresses: Sequence[str], token: str) -> dict[str, MoneyAccount]:
    calls = _accounts.calls(addresses)
    return {row.address: row for ask, keys in calls for row in ask.all(**keys, token=token)}
