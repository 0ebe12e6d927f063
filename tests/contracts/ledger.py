"""What every Ledger must do: the rules of agreements, and that no money is made or lost whatever is tried.

A connector's test subclasses ``LedgerContract`` and gives ``world``:

    world.ledger        the connector
    world.party(i)      the address of the i-th of at least six parties, who start with nothing
    world.give(a, t, n) gives an address n of token t, as an operator would
    world.pass_blocks(n)
    world.now           a time, which need not move
"""

import random
from dataclasses import replace
from itertools import count

import pytest

from foedus.core.errors import Conflict, PlatformError
from foedus.core.market.dids import Did
from foedus.core.market.escrow import (
    NATIVE,
    BadShares,
    BadTransition,
    NotLocked,
    NotProvider,
    NotTimedOut,
    Outcome,
    PaidTooLate,
    State,
    Terms,
    TooEarly,
    Unresolved,
    Window,
    Windows,
)
from foedus.ports.ledger import (
    AgreementExists,
    AgreementMissing,
    DidTaken,
    DidUnregistered,
    Kind,
    NoFunds,
    Order,
    TokenMissing,
)
from foedus.services.market.purchases import agreement_id, condition_ids

OWNER, NODE, CONSUMER, MARKET, STRANGER, PATRON = range(6)
DID = Did(bytes.fromhex("162ce52ed2edd31c5c1017d10f054dd89fe97dc3f38cfabd3678b0075b835814"))
_SEEDS = count(1)
DEAL = Windows(compute=Window(0, 50))


class Deal:
    """An agreement being driven through a ledger."""

    def __init__(self, world, agreement):
        self.world, self.id = world, agreement.id

    @property
    def seen(self):
        return self.world.ledger.get(self.id, now=self.world.now)

    @property
    def states(self):
        return tuple(condition.state for condition in self.seen.conditions)

    def lock(self, payer=CONSUMER):
        return self.world.ledger.lock(self.id, payer=self.world.party(payer), now=self.world.now)

    def grant(self, by=NODE):
        return self.world.ledger.grant(self.id, by=self.world.party(by), now=self.world.now)

    def abort(self, by=STRANGER):
        return self.world.ledger.abort(self.id, by=self.world.party(by), now=self.world.now)

    def settle(self, by=STRANGER):
        return self.world.ledger.settle(self.id, by=self.world.party(by), now=self.world.now)


def order(world, *, seed=None, did=DID, windows=DEAL, native=False, **changes):
    seed = seed or next(_SEEDS).to_bytes(32, "big")
    fields = {
        "amounts": (10, 2),
        "receivers": (world.party(OWNER), world.party(MARKET)),
        "token": NATIVE if native else world.ledger.network().token,
        "return_address": world.party(CONSUMER),
        "consumer": world.party(CONSUMER),
    }
    return Order(seed=seed, creator=world.party(CONSUMER), terms=Terms(did=did, **(fields | changes)), windows=windows)


def agree(world, **changes):
    return Deal(world, world.ledger.create(order(world, **changes), now=world.now))


def balances(world, token):
    network = world.ledger.network()
    holders = [*(world.party(i) for i in range(6)), network.contracts.escrow]
    return [world.ledger.balance(holder, token) for holder in holders]


class LedgerContract:
    @pytest.fixture
    def ledger(self, world):
        world.ledger.register(DID, owner=world.party(OWNER), providers=[world.party(NODE)], now=world.now)
        return world.ledger

    @pytest.fixture
    def token(self, ledger):
        return ledger.network().token

    @pytest.fixture
    def deal(self, world, ledger, token):
        """An agreement on 12, whose consumer has 20."""
        world.give(world.party(CONSUMER), token, 20)
        return agree(world)

    def test_ids_are_those_that_everybody_computes(self, world, ledger):
        wanted = order(world)

        made = ledger.create(wanted, now=world.now)

        assert made.id == agreement_id(wanted.seed, wanted.creator)
        assert made.ids == condition_ids(made.id, wanted.terms, ledger.network().contracts)
        assert (made.terms, made.creator, made.owner) == (wanted.terms, wanted.creator, world.party(OWNER))
        assert made.compute.window == Window(0, 50)
        assert Deal(world, made).seen.terms == wanted.terms

    def test_after_the_grant_everybody_gets_a_share(self, world, deal, token):
        assert deal.states == (1, 1, 1)
        assert deal.lock().is_locked
        assert balances(world, token) == [0, 0, 8, 0, 0, 0, 12]
        deal.grant()
        settled = deal.settle()

        assert deal.states == (2, 2, 2)
        assert settled.outcome is Outcome.RELEASED
        assert balances(world, token) == [10, 0, 8, 2, 0, 0, 0]

    def test_after_the_timeout_the_price_goes_back(self, world, deal, token):
        deal.lock()
        with pytest.raises(NotTimedOut):
            deal.abort()
        world.pass_blocks(52)
        deal.abort()
        settled = deal.settle()

        assert deal.states == (2, 3, 2)
        assert settled.outcome is Outcome.REFUNDED
        assert balances(world, token) == [0, 0, 20, 0, 0, 0, 0]

    @pytest.mark.parametrize("by", [OWNER, NODE])
    def test_who_provides_may_give_up_at_once(self, world, deal, token, by):
        deal.lock()

        deal.abort(by=by)

        assert deal.settle().outcome is Outcome.REFUNDED
        assert balances(world, token)[CONSUMER] == 20

    def test_a_refund_goes_to_the_return_address_whoever_paid(self, world, ledger, token):
        world.give(world.party(PATRON), token, 12)
        deal = agree(world, return_address=world.party(STRANGER))

        deal.lock(payer=PATRON)
        deal.abort(by=OWNER)
        deal.settle()

        assert balances(world, token) == [0, 0, 0, 0, 12, 0, 0]

    def test_every_step_can_be_taken_again_and_changes_nothing_more(self, world, ledger, token):
        world.give(world.party(CONSUMER), token, 30)
        wanted = order(world)

        for _ in range(2):
            deal = Deal(world, ledger.create(wanted, now=world.now))
            ledger.register(DID, owner=world.party(OWNER), providers=[world.party(NODE)], now=world.now)
        for step in (deal.lock, deal.lock, deal.grant, deal.grant, deal.settle, deal.settle):
            step()

        assert balances(world, token) == [10, 0, 18, 2, 0, 0, 0]

    def test_a_refund_can_be_asked_for_again_and_is_paid_once(self, world, deal, token):
        for step in (deal.lock, lambda: deal.abort(by=NODE), lambda: deal.abort(by=NODE), deal.settle, deal.settle):
            step()

        assert balances(world, token) == [0, 0, 20, 0, 0, 0, 0]

    def test_a_seed_is_used_for_one_agreement(self, world, ledger):
        wanted = order(world)
        ledger.create(wanted, now=world.now)

        for other in (
            replace(wanted, terms=replace(wanted.terms, amounts=(10, 3))),
            replace(wanted, windows=Windows(compute=Window(0, 51))),
        ):
            with pytest.raises(AgreementExists):
                ledger.create(other, now=world.now)

    def test_what_nobody_registered_cannot_be_bought(self, world, ledger):
        with pytest.raises(DidUnregistered):
            agree(world, did=Did(b"\x01" * 32))

    def test_an_asset_stays_its_owners(self, world, ledger):
        with pytest.raises(DidTaken):
            ledger.register(DID, owner=world.party(STRANGER), providers=[], now=world.now)

    def test_the_owner_says_who_provides(self, world, deal):
        deal.lock()
        world.ledger.register(
            DID, owner=world.party(OWNER), providers=[world.party(PATRON)], now=world.now, may_change=True
        )

        with pytest.raises(NotProvider):
            deal.grant(by=NODE)
        assert deal.grant(by=PATRON).compute.state is State.FULFILLED

    @pytest.mark.parametrize("by", [CONSUMER, STRANGER, MARKET])
    def test_only_owner_and_providers_grant(self, world, deal, by):
        deal.lock()

        with pytest.raises(NotProvider):
            deal.grant(by=by)

        assert deal.states == (2, 1, 1)

    def test_the_owner_grants_too_and_even_before_the_lock(self, world, deal, token):
        deal.grant(by=OWNER)
        with pytest.raises(NotLocked):
            deal.settle()
        deal.lock()
        deal.settle()

        assert balances(world, token) == [10, 0, 8, 2, 0, 0, 0]

    def test_nothing_is_released_before_it_is_clear_to_whom(self, world, deal):
        with pytest.raises(NotLocked):
            deal.settle()
        deal.lock()
        with pytest.raises(Unresolved):
            deal.settle()

        assert deal.states == (2, 1, 1)

    def test_what_was_granted_cannot_be_aborted_and_what_was_aborted_not_granted(self, world, ledger, token):
        world.give(world.party(CONSUMER), token, 24)
        granted, aborted = agree(world), agree(world)
        granted.grant()
        aborted.abort(by=NODE)

        world.pass_blocks(60)
        for by in (NODE, STRANGER):
            with pytest.raises(BadTransition):
                granted.abort(by=by)
        with pytest.raises(BadTransition):
            aborted.grant()

    def test_a_late_grant_ends_aborted(self, world, deal, token):
        deal.lock()
        world.pass_blocks(52)

        assert deal.grant().compute.state is State.ABORTED
        assert deal.settle().outcome is Outcome.REFUNDED
        assert balances(world, token)[CONSUMER] == 20

    def test_a_late_payment_is_refused_before_money_moves(self, world, ledger, token):
        world.give(world.party(CONSUMER), token, 12)
        deal = agree(world, windows=Windows(lock=Window(0, 5), compute=Window(0, 50)))
        world.pass_blocks(7)

        with pytest.raises(PaidTooLate):
            deal.lock()

        assert balances(world, token) == [0, 0, 12, 0, 0, 0, 0]

    def test_a_timelock_has_to_pass(self, world, ledger, token):
        world.give(world.party(CONSUMER), token, 12)
        deal = agree(world, windows=Windows(Window(40, 0), Window(40, 90), Window(40, 0)))

        for step in (deal.lock, deal.grant):
            with pytest.raises(TooEarly):
                step()
        world.pass_blocks(40)
        deal.lock()
        deal.grant()
        assert deal.settle().outcome is Outcome.RELEASED

    def test_an_escrow_may_open_late(self, world, ledger, token):
        world.give(world.party(CONSUMER), token, 12)
        deal = agree(world, windows=Windows(escrow=Window(40, 0)))
        deal.lock()
        deal.grant()

        with pytest.raises(TooEarly):
            deal.settle()

        assert balances(world, token) == [0, 0, 0, 0, 0, 0, 12]
        world.pass_blocks(40)
        deal.settle()
        assert balances(world, token) == [10, 0, 0, 2, 0, 0, 0]

    def test_who_has_too_little_pays_nothing(self, world, ledger, token):
        world.give(world.party(CONSUMER), token, 11)
        deal = agree(world)

        with pytest.raises(NoFunds):
            deal.lock()

        assert deal.states == (1, 1, 1)
        assert balances(world, token) == [0, 0, 11, 0, 0, 0, 0]

    def test_one_receiver_may_have_several_shares_and_a_price_may_be_nothing(self, world, ledger, token):
        world.give(world.party(CONSUMER), token, 12)
        owner = world.party(OWNER)
        shares = agree(world, amounts=(3, 0, 4), receivers=(owner, world.party(MARKET), owner))
        gift = agree(world, amounts=(), receivers=())

        for deal in (shares, gift):
            for step in (deal.lock, deal.grant, deal.settle):
                step()

        assert balances(world, token) == [7, 0, 5, 0, 0, 0, 0]
        assert gift.seen.outcome is Outcome.RELEASED

    def test_what_a_contract_received_would_be_lost(self, world, ledger):
        with pytest.raises(BadShares):
            agree(world, amounts=(1,), receivers=(ledger.network().contracts.escrow,))

    def test_a_token_that_nobody_knows_is_refused(self, world, ledger):
        with pytest.raises(TokenMissing):
            agree(world, token=world.party(STRANGER))

    def test_an_agreement_that_nobody_made_is_missing(self, world, ledger):
        deal = agree(world)
        deal.id = b"\x05" * 32

        for step in (deal.lock, deal.grant, deal.abort, deal.settle, lambda: deal.seen):
            with pytest.raises(AgreementMissing):
                step()

    def test_a_statement_tells_where_money_came_from_and_went(self, world, ledger, token):
        start = len(ledger.statement(world.party(CONSUMER)))
        world.give(world.party(CONSUMER), token, 20)
        deal = agree(world)
        deal.lock()
        deal.grant()
        deal.settle()

        spent = ledger.statement(world.party(CONSUMER))
        earned = ledger.statement(world.party(OWNER))[0]
        assert [(entry.kind, entry.amount) for entry in spent[: len(spent) - start]][:1] == [(Kind.LOCK, -12)]
        assert (spent[0].agreement, spent[0].token) == (deal.id, token)
        assert (earned.kind, earned.amount, earned.agreement) == (Kind.RELEASE, 10, deal.id)
        assert earned.other == ledger.network().contracts.escrow
        assert len(ledger.statement(world.party(CONSUMER), limit=1)) == 1

    def test_minting_again_for_the_same_reason_makes_no_more(self, world, ledger, token):
        for _ in range(2):
            ledger.mint(world.party(STRANGER), token, 7, reference="order 66", now=world.now)
        ledger.mint(world.party(STRANGER), token, 1, reference="order 67", now=world.now)

        assert ledger.balance(world.party(STRANGER), token) == 8

    def test_the_native_coin_pays_as_well(self, world, ledger):
        before = world.native(CONSUMER)
        deal = agree(world, native=True)
        deal.lock()
        assert ledger.balance(ledger.network().contracts.escrow, NATIVE) == 12
        owner = ledger.balance(world.party(OWNER), NATIVE)
        deal.grant()
        deal.settle()

        assert ledger.balance(ledger.network().contracts.escrow, NATIVE) == 0
        assert before - world.native(CONSUMER) == 12
        assert world.native(OWNER) - owner >= 10 - world.fees

    @pytest.mark.parametrize("seed", [1, 2])
    def test_whatever_is_tried_in_whatever_order_no_money_is_made_or_lost(self, world, ledger, token, seed):
        """Every step's result is what the rules say of the agreement as it was, and the sum of all accounts stays."""
        rng = random.Random(seed)
        parties = range(6)
        for party in (CONSUMER, PATRON):
            world.give(world.party(party), token, 40)
        deals = []
        for _ in range(world.steps):
            if len(deals) < 3:
                limits = (rng.choice([0, 6]), rng.choice([0, 12]), rng.choice([0, 3]))
                windows = Windows(Window(0, limits[0]), Window(0, limits[1]), Window(limits[2], 0))
                deals.append(agree(world, windows=windows, amounts=(rng.randint(0, 15), rng.randint(0, 5))))
            self.take_any_step(world, rng, rng.choice(deals), rng.choice(parties))

            assert sum(balances(world, token)) == 80
            deals = [deal for deal in deals if deal.seen.outcome is Outcome.OPEN or rng.random() < 0.5]

    def take_any_step(self, world, rng, deal, party):
        step = rng.choice(["lock", "lock", "grant", "abort", "settle", "settle", "pass"])
        if step == "pass":
            world.pass_blocks(rng.randint(1, 4))
            return
        before, held = deal.seen, world.ledger.balance(world.party(party), deal.seen.terms.token)
        try:
            wanted = expected(before, step, world.party(party), held)
        except PlatformError as exc:
            with pytest.raises(type(exc)):
                getattr(deal, step)(party)
            assert deal.states == tuple(condition.state for condition in before.conditions)
        else:
            getattr(deal, step)(party)
            assert deal.states == wanted


def expected(before, step, address, held):
    """The states after a step on an agreement, by the rules; raises what the step has to raise."""
    lock, compute, escrow = (condition.state for condition in before.conditions)
    if step == "lock" and lock is not State.FULFILLED:
        lock = before.lock.paid(before.block)
        if held < before.terms.total:
            raise NoFunds
    if step == "grant":
        if not before.is_provided_by(address):
            raise NotProvider
        if compute is not State.FULFILLED:
            compute = before.compute.fulfilled(before.block)
    if step == "abort" and compute is not State.ABORTED:
        compute = before.compute.aborted(before.block, given_up=before.is_provided_by(address))
    if step == "settle" and escrow is State.UNFULFILLED:
        before.payouts()
        escrow = before.escrow.fulfilled(before.block)
    return lock, compute, escrow


class RacingContract:
    """For ledgers that many use at once: ``world`` as above, and ``in_threads``."""

    @pytest.mark.parametrize("round_", range(4))
    def test_of_grant_and_abort_at_once_exactly_one_happens(self, world, in_threads, round_):
        token = world.ledger.network().token
        world.ledger.register(DID, owner=world.party(OWNER), providers=[world.party(NODE)], now=world.now)
        world.give(world.party(CONSUMER), token, 20)
        deal = agree(world)
        deal.lock()

        results = in_threads(deal.grant, lambda: deal.abort(by=OWNER), *[lambda: quietly(deal.settle)] * 2)
        deal.settle()

        assert sum(isinstance(result, Conflict) for result in results[:2]) == 1
        assert balances(world, token) in ([10, 0, 8, 2, 0, 0, 0], [0, 0, 20, 0, 0, 0, 0])
        assert (deal.seen.outcome is Outcome.RELEASED) == (deal.states == (2, 2, 2))

    def test_many_who_lock_and_settle_at_once_pay_once(self, world, in_threads):
        token = world.ledger.network().token
        world.ledger.register(DID, owner=world.party(OWNER), providers=[world.party(NODE)], now=world.now)
        world.give(world.party(CONSUMER), token, 50)
        wanted = order(world)

        made = in_threads(*[lambda: world.ledger.create(wanted, now=world.now)] * 4)
        deal = Deal(world, made[0])
        in_threads(*[deal.lock] * 4)
        deal.grant()
        in_threads(*[deal.settle] * 4)

        assert {agreement.id for agreement in made} == {deal.id}
        assert balances(world, token) == [10, 0, 38, 2, 0, 0, 0]


def quietly(step):
    try:
        return step()
    except Conflict:
        return None
