"""What a session waits for, and when it need not."""

import pytest
from tests.core.market.test_leading import handed_in, joined, leader

from foedus.core.market.attendance import awaited, needed_of_awaited, waits_for, without
from foedus.core.market.leading import Phase

NAMED = ("agreement-a", "agreement-b", "agreement-c")


def session(least=2, **more):
    return leader(least=least, allowed_agreements=NAMED, **more)


def test_a_session_waits_while_enough_of_those_it_names_may_come():
    rules = session()
    state = joined(rules, "a")

    assert awaited(rules, state) == ("agreement-b", "agreement-c")
    assert without(rules, state, ["agreement-b"], 1.0) is state
    assert waits_for(rules, state) == "waits for 1 participant more to connect: 1 are there"


def test_so_many_of_those_awaited_have_to_be_able_to_come():
    rules = session()
    waiting, in_round = joined(rules, "a"), joined(rules, "a", "b")
    silent = rules.pass_time(rules.hear(handed_in(rules, in_round, "a"), "a", 99.0), 100.0)
    stuck = rules.ignore(rules.ignore(in_round, "a", 1.0), "b", 1.0)

    needed = [needed_of_awaited(rules, state) for state in (joined(rules), waiting, in_round, silent, stuck)]

    assert needed == [2, 1, 0, 1, 1]


def test_it_ends_when_too_few_of_them_are_left():
    rules = session()

    over = without(rules, joined(rules, "a"), ["agreement-b", "agreement-c"], 1.0)

    assert over.phase is Phase.FAILED
    assert over.reason == "2 participants needed, and no more than 1 can come: what the others bought is over"


def test_who_is_there_counts_whatever_became_of_its_agreement():
    rules = session()
    state = joined(rules, "a", "b")

    assert without(rules, state, NAMED, 1.0) is state


def test_a_round_ends_the_session_when_those_who_were_drawn_are_gone_for_good():
    rules = session()
    state = handed_in(rules, joined(rules, "a", "b"), "a")
    silent = rules.pass_time(rules.hear(state, "a", 99.0), 100.0)

    assert waits_for(rules, silent) == (
        "waits for 1 participant more to connect: those who are there did what they could in this round"
    )
    assert without(rules, silent, ["agreement-b"], 100.0) is silent  # the third may come
    assert without(rules, silent, ["agreement-b", "agreement-c"], 100.0).phase is Phase.FAILED


def test_a_round_of_bad_results_begins_anew_when_nobody_else_can_come_and_a_few_times_at_most():
    rules = session()
    state, gone = joined(rules, "a", "b"), ["agreement-c"]
    seen = []
    for _ in range(3):
        state = rules.ignore(rules.ignore(state, "a", 1.0), "b", 1.0)
        assert without(rules, state, [], 1.0) is state  # the third may come
        state = without(rules, state, gone, 1.0)
        seen.append((state.phase, state.round, state.selected))

    assert seen[:2] == [(Phase.ROUND, 0, 2)] * 2
    assert (state.phase, "too few results were good" in state.reason) == (Phase.FAILED, True)


def test_a_session_that_names_nobody_may_always_be_joined():
    rules = leader()
    state = joined(rules, "a")

    assert awaited(rules, state) == ()
    assert without(rules, state, NAMED, 1.0) is state


@pytest.mark.parametrize("ends", ["over", "averaging"])
def test_what_is_over_or_has_its_results_waits_for_nobody(ends):
    rules = session()
    state = handed_in(rules, joined(rules, "a", "b"), "a", "b")
    if ends == "over":
        state = rules.pass_time(rules.advance(state, "w", 1.0), 5000.0)

    assert (awaited(rules, state), waits_for(rules, state)) == ((), "")
    assert without(rules, state, NAMED, 2.0) is state
