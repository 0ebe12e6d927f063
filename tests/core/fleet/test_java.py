import pytest
from hypothesis import given
from hypothesis import strategies as st

from foedus.core.fleet.java import Random, string_hash, to_int


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("", 0),
        ("a", 97),
        ("ab", 97 * 31 + 98),
        ("user1", (((117 * 31 + 115) * 31 + 101) * 31 + 114) * 31 + 49),  # still below 2**31
        ("polygenelubricants", -(1 << 31)),  # known for it: its absolute value is negative in Java
        ("ä", 228),
        ("\U0001f600", 0xD83D * 31 + 0xDE00),  # two UTF-16 units
    ],
)
def test_a_text_has_the_hash_it_has_in_java(text, value):
    assert string_hash(text) == value


def test_a_hash_wraps_round_at_32_bits():
    exact = 0
    for letter in "test_user1":
        exact = 31 * exact + ord(letter)

    assert exact >= 1 << 32
    assert string_hash("test_user1") == (exact + (1 << 31)) % (1 << 32) - (1 << 31)


@pytest.mark.parametrize(
    ("value", "as_int"), [(0, 0), ((1 << 31) - 1, (1 << 31) - 1), (1 << 31, -(1 << 31)), ((1 << 32) - 1, -1)]
)
def test_a_java_int_has_32_bits(value, as_int):
    assert to_int(value) == as_int
    assert to_int(value + (1 << 32)) == as_int
    assert to_int(value - (1 << 32)) == as_int


def test_the_first_number_of_seed_0_is_the_one_worked_out_by_hand():
    # s0 = 0x5DEECE66D; s1 = (s0 * 0x5DEECE66D + 11) mod 2**48; the topmost 32 of its 48 bits, as an int
    s1 = (0x5DEECE66D * 0x5DEECE66D + 11) % (1 << 48)

    assert s1 >> 16 == 3139482720
    assert Random(0).next_int() == 3139482720 - (1 << 32) == -1155484576


@pytest.mark.parametrize(
    ("seed", "numbers"),
    [(0, [-1155484576, -723955400, 1033096058]), (42, [-1170105035, 234785527, -1360544799])],
)
def test_the_numbers_of_a_seed_are_those_of_java(seed, numbers):
    random = Random(seed)

    assert [random.next_int() for _ in numbers] == numbers


def test_a_boolean_is_the_topmost_bit_of_a_number():
    numbers, booleans = Random(42), Random(42)

    assert [booleans.next_boolean() for _ in range(20)] == [numbers.next_int() < 0 for _ in range(20)]
    assert Random(42).next_boolean()


def test_numbers_below_a_bound_are_those_of_java():
    hundred, sixteen = Random(42), Random(42)

    # the topmost 31 bits of the numbers above, 1562431130, 117392763 and 1467211248, divided by the bound, the rest
    assert [hundred.next_below(100) for _ in range(3)] == [30, 63, 48]
    # a power of two takes the topmost bits: of (-1170105035 + 2**32) / 2**28 = 11.6, and of 234785527 / 2**28 = 0.9
    assert [sixteen.next_below(16) for _ in range(2)] == [11, 0]


def test_a_number_from_the_last_incomplete_stretch_is_drawn_again():
    # Above the bound, 2**31 has room for only part of a second stretch: 1562431130 falls into it, 117392763 does not.
    assert Random(42).next_below((1 << 30) + 1) == 117392763


@given(st.integers(-(1 << 63), (1 << 63) - 1), st.integers(1, (1 << 31) - 1))
def test_numbers_stay_below_their_bound(seed, bound):
    assert 0 <= Random(seed).next_below(bound) < bound


@pytest.mark.parametrize("bound", [0, -1, 1 << 31])
def test_a_bound_is_a_positive_int(bound):
    with pytest.raises(ValueError, match="bound"):
        Random(0).next_below(bound)
