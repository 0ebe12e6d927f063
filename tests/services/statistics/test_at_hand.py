"""What a process keeps in memory stays below a bound, and what was used last stays longest."""

import numpy as np

from foedus.core.statistics import Batch, Column, Kind, Plan, Statistics
from foedus.services.federation import syncing
from foedus.services.statistics.answering import ANSWERS
from foedus.services.statistics.at_hand import MEMORY, AtHand, Memory, bytes_of
from foedus.services.statistics.keeping import KEEPER

MIB = 1 << 20


def test_what_was_used_longest_ago_goes_first():
    hand = AtHand("x", Memory(3 * MIB))
    for key in "ab":
        hand.keep(key, key.upper(), MIB)
    hand.get("a")

    hand.keep("c", "C", MIB)

    assert [hand.get(key) for key in "abc"] == ["A", None, "C"]


def test_what_takes_the_place_of_another_counts_instead_of_it():
    hand = AtHand("x", Memory(3 * MIB))
    for number in range(9):
        hand.keep("a", number, MIB)
        hand.keep("b", number, MIB)

    assert (hand.get("a"), hand.get("b")) == (8, 8)


def test_what_is_larger_than_all_is_not_kept():
    hand = AtHand("x", Memory(MIB))
    hand.keep("small", 1, 1)
    hand.keep("grows", 2, 1)

    hand.keep("grows", 3, 5 * MIB)

    assert (hand.get("small"), hand.get("grows")) == (1, None)


def test_kinds_share_one_bound():
    memory = Memory(3 * MIB)
    own, parts = AtHand("own", memory), AtHand("part", memory)
    for number in range(2):
        own.keep(number, f"own {number}", MIB)
        parts.keep(number, f"part {number}", MIB)

    assert [hand.get(number) for number in range(2) for hand in (own, parts)] == [None, None, "own 1", "part 1"]


def test_all_that_a_process_keeps_of_statistics_is_below_one_bound():
    hands = [KEEPER._at_hand, ANSWERS._merged, ANSWERS._parts, ANSWERS._schemas, syncing._SENT]

    assert [hand._memory is MEMORY for hand in hands] == [True] * 5
    assert len({hand._kind for hand in hands}) == 5


def test_statistics_weigh_what_their_arrays_do():
    rows = np.random.default_rng(0).normal(size=(300, 40))
    columns = [Column(f"x{k}", Kind.CONTINUOUS, rows[:, k]) for k in range(40)]
    value = Statistics.of(Batch(columns), Plan(products=True, sketches=True))

    assert bytes_of(value) > 3 * 8 * 40 * 40 + 2 * 8 * 300 * 40 * 0.9  # three matrices, and sketches of all values
