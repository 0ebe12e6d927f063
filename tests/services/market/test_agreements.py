from dataclasses import replace

import pytest
from tests.markets import condition, conditions, metadata, offer, signed

from foedus.connectors.secrets.memory import MemorySecrets
from foedus.core.errors import Conflict, Forbidden, Invalid, NotFound, Unauthenticated
from foedus.core.market.dids import Did
from foedus.core.market.escrow import NATIVE, BadTransition, NotTimedOut, Outcome, Terms, Windows
from foedus.ports.ledger import LedgerUnavailable, NoFunds, Order
from foedus.records.market.models import Account, Asset, Purchase
from foedus.server.work import Clockwork, do_due
from foedus.services.market import agreements, catalogue, money, settling
from foedus.services.market.agreements import OrderOffer
from foedus.services.market.node import KEY_NAME, node_key
from foedus.services.market.parties import ANYBODY, actor_of, party_of
from foedus.services.shell.authorisation import SYSTEM
from foedus.wallet.keys import Key, checked_address

pytestmark = pytest.mark.django_db
OWNER, CONSUMER, OTHER = (Key(bytes([i]) * 32) for i in (1, 2, 3))
FIRST, SECOND = (checked_address("0x" + digits * 20) for digits in ("aa", "bb"))


@pytest.fixture
def party(clock):
    return lambda key: party_of(key.address, now=clock())


@pytest.fixture
def administrator(party):
    Account.objects.filter(pk=party(OTHER).id).update(is_administrator=True)
    return actor_of(Account.objects.get(address=OTHER.address))


@pytest.fixture
def published(clock):
    def call(service=None, key=OWNER):
        document = signed(key, metadata("compute", name=f"asset {Asset.objects.count()}"), service or offer())
        catalogue.publish(ANYBODY, document, now=clock())
        return document.did

    return call


class Shop:
    def __init__(self, ports, clock, did, consumer):
        self.ports, self.clock, self.did, self.consumer = ports, clock, did, consumer

    def order(self, seed=7, actor=None, **changes):
        command = OrderOffer(**{"did": self.did, "seed": bytes([seed]) * 32, **changes})
        return agreements.order(self.ports, actor or self.consumer, command, now=self.clock())

    def do(self, step, actor, bought):
        return step(self.ports, actor, bought.purchase.agreement, now=self.clock())

    def has(self, address, token=None):
        return self.ports.ledger.balance(address, token or self.ports.ledger.network().token)


@pytest.fixture
def shop(market, clock, published, party):
    token = market.ledger.network().token
    market.ledger.mint(CONSUMER.address, token, 30, reference="start", now=clock())
    return Shop(market, clock, published(), party(CONSUMER))


def test_an_order_pays_into_escrow_and_says_what_it_waits_for(shop):
    bought = shop.order()

    assert bought.agreement.terms.receivers == (FIRST, SECOND)
    assert [(step.name, step.state.name) for step in bought.steps] == [
        ("lockPayment", "FULFILLED"), ("execCompute", "UNFULFILLED"), ("escrowPayment", "UNFULFILLED"),
    ]  # fmt: skip
    assert bought.steps[1].until == shop.clock().replace(minute=1, second=41)
    assert bought.waits_for == (
        "for the computation to be granted, and is refunded if that has not happened by 2026-01-01 12:01:41 UTC"
    )
    assert shop.has(CONSUMER.address) == 18


def test_an_order_sent_again_is_the_same_order(shop):
    first, again = shop.order(), shop.order()

    assert first.purchase == again.purchase
    assert shop.has(CONSUMER.address) == 18
    assert shop.order(seed=8).purchase != first.purchase


def test_who_has_too_little_pays_later(shop, administrator):
    shop.order()
    shop.order(seed=8)
    with pytest.raises(NoFunds):
        shop.order(seed=9)
    (waiting,) = Purchase.objects.filter(next_check_at__isnull=False).order_by("-pk")[:1]

    money.mint(shop.ports, administrator, CONSUMER.address, 6, reference="more", now=shop.clock())
    paid = agreements.pay(shop.ports, shop.consumer, waiting.agreement, now=shop.clock())

    assert paid.agreement.is_locked
    assert shop.has(CONSUMER.address) == 0


def test_the_node_grants_and_the_receivers_are_paid(shop):
    bought = shop.do(settling.grant, SYSTEM, shop.order())

    assert bought.outcome is Outcome.RELEASED
    assert (shop.has(FIRST), shop.has(SECOND), shop.has(CONSUMER.address)) == (10, 2, 18)
    assert (bought.waits_for, bought.purchase.next_check_at) == ("", None)


def test_when_the_node_gives_up_the_consumer_has_the_money_back_at_once(shop):
    bought = shop.do(settling.give_up, SYSTEM, shop.order())

    assert bought.outcome is Outcome.REFUNDED
    assert shop.has(CONSUMER.address) == 30
    with pytest.raises(BadTransition):
        shop.do(settling.grant, SYSTEM, bought)


def test_the_consumer_may_accept_whatever_came(shop):
    assert shop.do(settling.accept, shop.consumer, shop.order()).outcome is Outcome.RELEASED


def test_the_consumer_has_the_money_back_once_the_window_has_passed(shop):
    bought = shop.order()
    with pytest.raises(NotTimedOut):
        shop.do(settling.refund, shop.consumer, bought)

    shop.clock.passes(101)
    assert shop.do(settling.refund, shop.consumer, bought).outcome is Outcome.REFUNDED
    assert shop.has(CONSUMER.address) == 30


def test_the_clock_refunds_what_timed_out_and_nothing_before(shop):
    bought = shop.order()
    kept = shop.do(settling.grant, SYSTEM, shop.order(seed=8))
    clockwork = Clockwork()

    shop.clock.passes(100)
    clockwork.tick(shop.ports, now=shop.clock())
    do_due(shop.ports, shop.clock())
    assert shop.has(CONSUMER.address) == 6
    shop.clock.passes(1)
    clockwork.tick(shop.ports, now=shop.clock())
    clockwork.tick(shop.ports, now=shop.clock())
    assert shop.has(CONSUMER.address) == 6, "a slow ledger does not hold up the clock"
    do_due(shop.ports, shop.clock())

    assert shop.has(CONSUMER.address) == 18
    seen = agreements.get_bought(shop.ports, shop.consumer, bought.purchase.agreement, now=shop.clock())
    assert (seen.outcome, kept.outcome) == (Outcome.REFUNDED, Outcome.RELEASED)
    assert not Purchase.objects.filter(next_check_at__isnull=False).exists()


class Dying:
    """A ledger that stops answering after one verb; what it did before stays done."""

    def __init__(self, ledger, after):
        self._ledger, self._after, self._dead = ledger, after, False

    def __getattr__(self, name):
        verb = getattr(self._ledger, name)
        if name == "network":
            return verb

        def call(*args, **kwargs):
            if self._dead:
                raise LedgerUnavailable
            result = verb(*args, **kwargs)
            self._dead = name == self._after
            return result

        return call


@pytest.mark.parametrize("step", [settling.grant, settling.give_up])
def test_what_a_crash_left_between_two_steps_the_clock_finishes(shop, step):
    bought = shop.order()
    verb = "grant" if step is settling.grant else "abort"
    dying = replace(shop.ports, ledger=Dying(shop.ports.ledger, verb))
    with pytest.raises(LedgerUnavailable):
        step(dying, SYSTEM, bought.purchase.agreement, now=shop.clock())
    assert shop.has(CONSUMER.address) == 18

    settling.settle_due(shop.ports, now=shop.clock())

    assert shop.has(CONSUMER.address) == (18 if verb == "grant" else 30)
    assert shop.has(FIRST) == (10 if verb == "grant" else 0)


@pytest.mark.parametrize("after", ["create", "lock"])
def test_an_order_that_a_crash_cut_short_goes_on_when_sent_again(shop, after):
    dying = replace(shop.ports, ledger=Dying(shop.ports.ledger, after))
    shop.ports.ledger.register(shop.did, owner=OWNER.address, providers=[], now=shop.clock())
    command = OrderOffer(did=shop.did, seed=bytes([7]) * 32)
    if after == "create":
        with pytest.raises(LedgerUnavailable):
            agreements.order(dying, shop.consumer, command, now=shop.clock())
    else:
        agreements.order(dying, shop.consumer, command, now=shop.clock())

    assert shop.order().agreement.is_locked
    assert shop.has(CONSUMER.address) == 18


def test_one_that_fails_does_not_hold_up_the_others(shop):
    lost, fine = shop.order(), shop.order(seed=8)
    Purchase.objects.filter(pk=lost.purchase.pk).update(agreement="0" * 64)

    shop.clock.passes(101)
    assert settling.settle_due(shop.ports, now=shop.clock()) == 2

    assert shop.do(agreements.get_bought, shop.consumer, fine).outcome is Outcome.REFUNDED


def test_others_see_nothing_and_change_nothing(shop, party):
    bought = shop.order()

    for step in (agreements.get_bought, agreements.pay, settling.grant, settling.accept, settling.give_up,
                 settling.refund):  # fmt: skip
        for actor in (party(OTHER), ANYBODY):
            with pytest.raises(NotFound):
                shop.do(step, actor, bought)
    assert list(agreements.list_purchases(party(OTHER))) == list(agreements.list_purchases(ANYBODY)) == []


def test_consumer_and_owner_see_it_and_each_does_its_part(shop, party, administrator):
    bought = shop.order()

    for step in (settling.grant, settling.give_up):
        with pytest.raises(Forbidden):
            shop.do(step, shop.consumer, bought)
    for step in (settling.accept, agreements.pay):
        with pytest.raises(Forbidden):
            shop.do(step, party(OWNER), bought)
    for actor in (shop.consumer, party(OWNER), administrator):
        assert list(agreements.list_purchases(actor)) == [bought.purchase]
        assert shop.do(agreements.get_bought, actor, bought).purchase == bought.purchase
    assert shop.do(settling.give_up, party(OWNER), bought).outcome is Outcome.REFUNDED


def test_nobody_in_particular_orders_nothing(shop):
    with pytest.raises(Unauthenticated):
        shop.order(actor=ANYBODY)
    assert not Purchase.objects.exists()


def test_what_has_no_proven_owner_cannot_be_sold(shop, clock):
    document = signed(OWNER, metadata("compute"), offer(creator=OTHER.address))
    data = {**document.data, "proof": {**document.proof, "signatureValue": ""}}
    unsigned = type(document)(document.raw, data, document.did, document.services)
    catalogue.publish(ANYBODY, unsigned, now=clock())

    with pytest.raises(Conflict, match="nobody has proved"):
        shop.order(did=document.did)


def test_only_offers_can_be_ordered(shop, clock, published):
    plain = signed(OWNER, metadata("dataset"))
    catalogue.publish(ANYBODY, plain, now=clock())

    for did, index in ((plain.did, ""), (shop.did, "9"), (Did(bytes(32)), "")):
        with pytest.raises(NotFound):
            shop.order(did=did, index=index)
    bad = published(offer(agreed=conditions(receivers=("0xzz", "0x" + "bb" * 20)), creator=""))
    with pytest.raises(Invalid, match="0xzz"):
        shop.order(did=bad)


def test_windows_go_to_conditions_by_name_and_an_escrow_never_times_out(shop, published):
    price = {"_amounts": ["1"], "_receivers": [OWNER.address]}
    stated = [
        condition("escrowPayment", timelock=2, timeout=9, **price),
        condition("lockReward", timeout=50),
        condition("serviceExecution", timelock=1),
    ]

    bought = shop.order(did=published(offer(agreed=stated, timeout=600)))

    found = [(each.window.timelock, each.window.timeout) for each in bought.agreement.conditions]
    assert found == [(0, 50), (1, 600), (2, 0)]


def test_an_escrow_that_opens_late_is_released_by_the_clock(shop, published):
    price = {"_amounts": ["1"], "_receivers": [OWNER.address]}
    did = published(offer(agreed=[condition("escrowPayment", timelock=90, **price)]))

    assert shop.do(settling.grant, SYSTEM, shop.order(did=did)).outcome is Outcome.OPEN
    for _ in range(2):
        shop.clock.passes(60)
        settling.settle_due(shop.ports, now=shop.clock())

    assert shop.has(OWNER.address) == 1


def test_the_native_coin_pays_where_the_offer_asks_for_it(shop, published):
    shop.ports.ledger.mint(CONSUMER.address, NATIVE, 5, reference="coin", now=shop.clock())
    price = {"_amounts": ["4"], "_receivers": [OWNER.address], "_tokenAddress": "0x0"}
    did = published(offer(agreed=[condition("lockPayment", **price)]))

    shop.do(settling.grant, SYSTEM, shop.order(did=did))

    assert (shop.has(OWNER.address, NATIVE), shop.has(CONSUMER.address, NATIVE)) == (4, 1)


@pytest.fixture
def made_elsewhere(shop):
    """Makes an agreement on the ledger without the services, as clients of a chain do."""

    def call(**changes):
        network = shop.ports.ledger.network()
        fields = {"did": shop.did, "consumer": CONSUMER.address, "amounts": (10, 2), "receivers": (FIRST, SECOND)}
        rest = {"token": network.token, "return_address": CONSUMER.address}
        order = Order(
            seed=bytes(32), creator=CONSUMER.address, terms=Terms(**(fields | rest | changes)), windows=Windows()
        )
        shop.ports.ledger.register(
            shop.did, owner=OWNER.address, providers=[node_key(shop.ports.secrets).address], now=shop.clock()
        )
        return shop.ports.ledger.create(order, now=shop.clock()).id.hex()

    return call


def test_an_agreement_made_without_us_is_taken_up(shop, made_elsewhere, party):
    made = made_elsewhere()

    with pytest.raises(NotFound):
        agreements.take_up(shop.ports, party(OTHER), made, now=shop.clock())
    taken = agreements.take_up(shop.ports, shop.consumer, made, now=shop.clock())

    assert taken.waits_for == "for the payment of 12"
    assert taken.purchase.agreement == made


@pytest.mark.parametrize("changes", [{"amounts": (1, 2)}, {"token": NATIVE}, {"receivers": (FIRST, FIRST)}])
def test_an_agreement_on_other_terms_than_the_offers_is_not_taken_up(shop, made_elsewhere, changes):
    with pytest.raises(Forbidden, match="not those of the offer"):
        agreements.take_up(shop.ports, shop.consumer, made_elsewhere(**changes), now=shop.clock())


def test_what_was_bought_stays_what_it_was(shop, party):
    bought = shop.order()
    again = signed(OWNER, metadata("compute", name="asset 0"), offer())
    changed = type(again)(again.raw, {**again.data, "updated": "later"}, again.did, again.services)
    catalogue.revise(party(OWNER), shop.did, changed, now=shop.clock())

    assert (bought.purchase.version, shop.order(seed=8).purchase.version) == (1, 2)
    assert agreements.offer_of(bought.purchase).price.total == 12


def test_money_is_seen_by_whose_it_is_and_made_by_administrators(shop, party, administrator):
    shop.order()
    entries = money.statement(shop.ports, shop.consumer)

    assert [(entry.kind, entry.amount) for entry in entries] == [("lock", -12), ("mint", 30)]
    assert money.balance(shop.ports, shop.consumer) == money.balance(shop.ports, administrator, "", CONSUMER.address)
    with pytest.raises(Forbidden):
        money.statement(shop.ports, party(OWNER), CONSUMER.address)
    with pytest.raises(Forbidden):
        money.mint(shop.ports, shop.consumer, CONSUMER.address, 1, reference="x", now=shop.clock())
    with pytest.raises(Unauthenticated):
        money.balance(shop.ports, ANYBODY)


def test_a_node_makes_a_key_once_and_may_be_given_one(ports):
    made, given = node_key(ports.secrets), replace(ports, secrets=MemorySecrets({KEY_NAME: OWNER.secret.hex()}))

    assert node_key(ports.secrets) == made
    assert node_key(given.secrets) == OWNER
