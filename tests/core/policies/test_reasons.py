from dataclasses import replace

import pytest
from tests.core.policies.views import NOW, collecting, later, people, waiting

from foedus.core.policies.reasons import absentees, duration, earliest, names, percent, sightings
from foedus.core.rounds import Candidate


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (-1, "0 s"),
        (0, "0 s"),
        (41.9, "41 s"),
        (119, "119 s"),
        (120, "2 min"),
        (7199, "119 min"),
        (7200, "2 h"),
        (172_799, "47 h"),
        (172_800, "2 d"),
    ],
)
def test_a_duration_is_said_in_one_unit(seconds, text):
    assert duration(seconds) == text


@pytest.mark.parametrize(("number", "text"), [(0, ""), (1, "p0"), (3, "p0, p1, p2"), (4, "p0, p1, p2 and 1 more")])
def test_a_few_are_named_and_the_others_counted(number, text):
    assert names(people(number)) == text


def test_those_unseen_for_longest_are_named_first():
    someone = (*people(2, unseen_s=3), *people(1, unseen_s=300, prefix="q"), Candidate("never", "never"))

    assert sightings(someone, NOW) == " never was never seen, q0 was last seen 5 min ago, p0 was last seen 3 s ago."


def test_a_strangers_name_is_one_short_line():
    hostile = Candidate("k", "a\n\rb\t" + "x" * 500)

    assert names([hostile]) == "a b " + "x" * 35 + "…"


def test_a_participant_without_a_name_is_called_by_its_key():
    assert names([Candidate("k", "")]) == "k"


def test_a_percentage_is_as_exact_as_its_ratio():
    assert [percent(0.7), percent(0.675), percent(1), percent(0)] == ["70%", "67.5%", "100%", "0%"]


@pytest.mark.parametrize(
    ("moments_s", "first_s"), [([], None), ([None], None), ([-1, 0], None), ([0, 3, None, 2], 2), ([0.001], 0.001)]
)
def test_the_earliest_moment_is_one_to_come(moments_s, first_s):
    moments = [None if s is None else later(s) for s in moments_s]

    assert earliest(NOW, *moments) == (None if first_s is None else later(first_s))


def test_who_is_done_with_the_round_is_not_said_to_be_away():
    view = collecting(registered=4, reported=2, updates=2, in_flight=1)

    assert [r.facts["absent"] for r in absentees(view, 15.0, NOW)] == [1]
    assert absentees(replace(view, reported=3), 15.0, NOW) == ()


def test_who_only_just_joined_is_not_said_to_be_long_away():
    joined, away = Candidate("a", "anna"), people(1, unseen_s=41, prefix="b")

    def told(*pending):
        return [r.text for r in absentees(waiting(registered=len(pending), pending=pending), 1_000_000.0, NOW)]

    assert told(joined) == ["1 participant joined and not seen since: anna."]
    assert told(joined, *away) == [
        "2 participants not seen in the last 11 d. anna was never seen, b0 was last seen 41 s ago."
    ]
