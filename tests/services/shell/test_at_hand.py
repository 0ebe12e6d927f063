"""What a process keeps in memory stays below a bound, and what was used last stays longest."""

from foedus.services.shell.at_hand import AtHand, Memory

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


def test_what_was_kept_at_another_version_is_not_at_hand():
    hand = AtHand("x", Memory(MIB))

    hand.keep("a", "old", 1, at=1)

    assert (hand.get("a", at=1), hand.get("a", at=2), hand.get("a")) == ("old", None, None)
