from dataclasses import replace
from datetime import UTC, datetime

import pytest

from foedus.core.market.dids import Did
from foedus.core.market.escrow import (
    MAX_AMOUNT,
    MAX_SHARES,
    NATIVE,
    Agreement,
    BadShares,
    BadTransition,
    BadWindow,
    ConditionIds,
    NotLocked,
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

AT = datetime(2026, 1, 1, tzinfo=UTC)
A, B, C = ("0x" + digit * 40 for digit in "abc")
CREATED = 100


def terms(**changes):
    fields = {"amounts": (10, 2), "receivers": (A, B), "token": "0x" + "d" * 40, "return_address": C}
    return Terms(did=Did(bytes(32)), consumer=C, **(fields | changes))


def agreement(**windows):
    return Agreement.new(
        agreement_id=bytes(32),
        seed=bytes(32),
        creator=C,
        terms=terms(),
        owner=A,
        providers=(B,),
        windows=Windows(**windows),
        ids=ConditionIds(b"l", b"c", b"e"),
        block=CREATED,
        at=AT,
    )


def in_state(lock, compute):
    made = agreement()
    return replace(made, lock=replace(made.lock, state=lock), compute=replace(made.compute, state=compute))


def test_a_new_agreement_has_three_unfulfilled_conditions():
    made = agreement()

    assert [condition.name for condition in made.conditions] == ["lockPayment", "execCompute", "escrowPayment"]
    assert {condition.state for condition in made.conditions} == {State.UNFULFILLED}
    assert (made.outcome, made.is_locked) == (Outcome.OPEN, False)


@pytest.mark.parametrize(("block", "wanted"), [(102, TooEarly), (103, State.FULFILLED), (110, State.FULFILLED),
                                               (111, State.ABORTED)])  # fmt: skip
def test_a_window_opens_with_its_timelock_and_closes_after_its_timeout(block, wanted):
    condition = agreement(compute=Window(3, 10)).compute

    if wanted is TooEarly:
        with pytest.raises(TooEarly):
            condition.fulfilled(block)
    else:
        assert condition.fulfilled(block) is wanted


def test_without_windows_time_changes_nothing():
    condition = agreement().compute

    assert condition.fulfilled(CREATED) is condition.fulfilled(CREATED + 10**9) is State.FULFILLED
    with pytest.raises(NotTimedOut):
        condition.aborted(CREATED + 10**9, given_up=False)


def test_who_pays_late_is_refused_before_money_moves():
    lock = agreement(lock=Window(0, 5)).lock

    assert lock.paid(CREATED + 5) is State.FULFILLED
    with pytest.raises(PaidTooLate):
        lock.paid(CREATED + 6)


def test_anybody_aborts_what_timed_out_and_before_that_who_gives_up_a_right():
    compute = agreement(compute=Window(0, 5)).compute

    with pytest.raises(NotTimedOut):
        compute.aborted(CREATED + 5, given_up=False)
    assert compute.aborted(CREATED + 6, given_up=False) is State.ABORTED
    assert compute.aborted(CREATED, given_up=True) is State.ABORTED


@pytest.mark.parametrize("state", [State.FULFILLED, State.ABORTED])
def test_what_is_fulfilled_or_aborted_stays_so(state):
    compute = replace(agreement().compute, state=state)

    with pytest.raises(BadTransition):
        compute.fulfilled(CREATED)
    with pytest.raises(BadTransition):
        compute.aborted(CREATED, given_up=True)


def test_the_escrow_goes_to_the_receivers_or_back_and_waits_until_that_is_clear():
    assert in_state(State.FULFILLED, State.FULFILLED).payouts() == ((A, 10), (B, 2))
    assert in_state(State.FULFILLED, State.ABORTED).payouts() == ((C, 12),)
    with pytest.raises(Unresolved):
        in_state(State.FULFILLED, State.UNFULFILLED).payouts()
    for lock in (State.UNFULFILLED, State.ABORTED):
        with pytest.raises(NotLocked):
            in_state(lock, State.FULFILLED).payouts()


@pytest.mark.parametrize(("compute", "outcome"), [(State.FULFILLED, "released"), (State.ABORTED, "refunded")])
def test_the_outcome_tells_where_the_money_went(compute, outcome):
    made = in_state(State.FULFILLED, compute)

    assert made.outcome == "open"
    assert replace(made, escrow=replace(made.escrow, state=State.FULFILLED)).outcome == outcome


@pytest.mark.parametrize(("timelock", "timeout"), [(5, 5), (6, 5), (-1, 0), (0, -1), (0, 1 << 40)])
def test_a_window_that_never_opens_is_refused(timelock, timeout):
    with pytest.raises(BadWindow):
        Window(timelock, timeout)


def test_an_escrow_that_could_time_out_with_money_in_it_is_refused():
    with pytest.raises(BadWindow, match="never leave"):
        Windows(escrow=Window(0, 5))


@pytest.mark.parametrize(
    "changes",
    [
        {"amounts": (1,)},
        {"amounts": (1, -1)},
        {"amounts": (MAX_AMOUNT, 1)},
        {"receivers": (A, NATIVE)},
        {"return_address": NATIVE},
        {"amounts": (1,) * (MAX_SHARES + 1), "receivers": (A,) * (MAX_SHARES + 1)},
    ],
)
def test_terms_under_which_money_would_be_lost_are_refused(changes):
    with pytest.raises(BadShares):
        terms(**changes)
