import threading
import time
from datetime import UTC, datetime, timedelta

import pytest
from django.db import IntegrityError, connection, transaction
from tests.contracts.ledger import CONSUMER, DID, NODE, OWNER, LedgerContract, RacingContract, agree, balances
from tests.markets import address_named

from foedus.connectors.addresses import BadAddress
from foedus.connectors.ledger.local.ledger import LocalLedger
from foedus.core.errors import Conflict, Invalid
from foedus.core.market.escrow import NATIVE, NotTimedOut, State, Window, Windows
from foedus.records.market.models import Agreement, MoneyAccount, MoneyTransfer

pytestmark = pytest.mark.django_db


class LocalWorld:
    now = datetime(2026, 1, 1, tzinfo=UTC)
    steps = 40
    fees = 0

    def __init__(self, block_s=0.0):
        self.ledger = LocalLedger(block_s)
        self._gifts = 0
        self.give(self.party(CONSUMER), NATIVE, 100)

    def party(self, i):
        return address_named(f"party {i}")

    def give(self, address, token, amount):
        self._gifts += 1
        self.ledger.mint(address, token, amount, reference=f"gift {self._gifts}", now=self.now)

    def native(self, i):
        return self.ledger.balance(self.party(i), NATIVE)

    def pass_blocks(self, n):
        self.ledger.mine(n, now=self.now)


@pytest.fixture
def world():
    return LocalWorld()


class TestLocalLedger(LedgerContract):
    @pytest.fixture
    def world(self, world):
        return world


@pytest.mark.django_db(transaction=True)
class TestLocalLedgerAtOnce(RacingContract):
    @pytest.fixture
    def world(self, world):
        return world

    @pytest.mark.skipif("connection.vendor != 'postgresql'", reason="SQLite has one writer")
    def test_servers_that_lock_the_agreement_alone_are_waited_for(self, world, in_threads):
        """As those of before do, beside which this one runs while it takes their place."""
        world.ledger.register(DID, owner=world.party(OWNER), providers=[world.party(NODE)], now=world.now)
        world.give(world.party(CONSUMER), world.ledger.network().token, 20)
        deal, holds = agree(world), threading.Event()
        deal.lock()

        def granted():
            with transaction.atomic():
                row = Agreement.objects.select_for_update().get(agreement=deal.id.hex())
                holds.set()
                time.sleep(0.3)  # long enough for one that does not wait
                row.conditions.filter(name="execCompute").update(state=State.FULFILLED.value)

        def aborted():
            holds.wait()
            return deal.abort(by=OWNER)

        _, refused = in_threads(granted, aborted)

        assert isinstance(refused, Conflict)
        assert deal.states == (State.FULFILLED, State.FULFILLED, State.UNFULFILLED)


@pytest.fixture
def deal(world):
    world.ledger.register(DID, owner=world.party(OWNER), providers=[world.party(NODE)], now=world.now)
    world.give(world.party(CONSUMER), world.ledger.network().token, 20)
    return agree(world)


def test_with_a_block_time_it_is_time_that_passes_windows(deal):
    world = LocalWorld(block_s=2.0)
    deal = agree(world, windows=Windows(compute=Window(0, 10)))

    world.now += timedelta(seconds=20)
    with pytest.raises(NotTimedOut):
        deal.abort()
    world.now += timedelta(seconds=2)
    deal.abort()

    assert deal.states == (1, 3, 1)


def test_however_much_happens_a_block_takes_its_time(deal):
    world = LocalWorld(block_s=1.0)
    before = world.ledger.get(deal.id, now=world.now).block

    for _ in range(5):
        agree(world)

    assert world.ledger.get(deal.id, now=world.now).block == before
    assert world.ledger.get(deal.id, now=world.now - timedelta(days=1)).block <= before


def test_amounts_beyond_the_integers_of_databases_are_exact(world, deal):
    token, huge = world.ledger.network().token, 10**30 + 1
    world.give(world.party(CONSUMER), token, huge)
    big = agree(world, amounts=(10**30, 1))

    for step in (big.lock, big.grant, big.settle):
        step()

    assert balances(world, token) == [10**30, 0, 20, 1, 0, 0, 0]


def test_the_tables_hold_no_negative_balance(world, deal):
    account = MoneyAccount.objects.get(address=world.party(CONSUMER), token=world.ledger.network().token)

    assert account.balance == 20
    account.balance = -1
    with pytest.raises(ValueError, match="not -1"), transaction.atomic():
        account.save()
    table, wrong = MoneyAccount._meta.db_table, "-1" if connection.vendor == "postgresql" else "-" + "9" * 77
    with pytest.raises(IntegrityError), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(f"UPDATE {table} SET balance = %s WHERE id = %s", [wrong, account.pk])


def test_the_tables_let_money_leave_an_escrow_once(world, deal):
    deal.lock()
    deal.grant()
    deal.settle()
    paid = MoneyTransfer.objects.filter(leaves=True, position=0).get()

    paid.pk = None
    paid.kind = "refund"
    with pytest.raises(IntegrityError), transaction.atomic():
        paid.save(force_insert=True)


@pytest.mark.parametrize(("field", "value"), [("source", None), ("amount", 0), ("kind", "gift"), ("agreement", None)])
def test_the_tables_hold_no_transfer_out_of_nowhere(world, deal, field, value):
    deal.lock()
    paid = MoneyTransfer.objects.get(kind="lock")

    setattr(paid, field, value)
    with pytest.raises(IntegrityError), transaction.atomic():
        paid.save()


@pytest.mark.parametrize("url", ["local:/x", "local://host", "local:?block_seconds=-1", "local:?block_seconds=nan",
                                 "local:?block=1"])  # fmt: skip
def test_an_address_that_means_nothing_is_refused(tmp_path, url):
    with pytest.raises(BadAddress):
        LocalLedger.from_url(url, data=tmp_path)


def test_a_block_takes_a_second_unless_told(tmp_path):
    assert LocalLedger.from_url("local:", data=tmp_path).network().block_s == 1
    assert LocalLedger.from_url("local:?block_seconds=12.5", data=tmp_path).network().block_s == 12.5


@pytest.mark.parametrize(("amount", "reference"), [(-1, "x"), (1 << 128, "x"), (1, ""), (1, "x" * 101)])
def test_what_cannot_be_minted_is_refused(world, amount, reference):
    with pytest.raises(Invalid):
        world.ledger.mint(world.party(OWNER), NATIVE, amount, reference=reference, now=world.now)


def test_its_contracts_are_where_their_names_say():
    network = LocalLedger().network()
    names = ("LockPaymentCondition", "ComputeExecutionCondition", "EscrowPaymentCondition")

    found = (network.contracts.lock, network.contracts.compute, network.contracts.escrow)

    assert found == tuple(map(address_named, names))
    assert network.template == address_named("EscrowComputeExecutionTemplate")
    assert network.token == address_named("Token")
