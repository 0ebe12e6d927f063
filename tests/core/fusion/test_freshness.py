"""Which cells are asked, and what may be answered meanwhile."""

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from foedus.core.fusion.freshness import CellState, Freshness, age_s, due, judged

NOW = datetime(2026, 1, 1, tzinfo=UTC)
moments = st.none() | st.integers(-200_000, 200_000).map(lambda ms: NOW + timedelta(milliseconds=ms))
states = st.builds(
    CellState, name=st.sampled_from("abc"), tried_at=moments, good_at=moments, error=st.sampled_from(["", "down"])
)
cells = st.lists(states, max_size=6)
rules = st.builds(
    Freshness, window_s=st.integers(0, 100).map(float), max_age_s=st.integers(0, 200).map(float), strict=st.booleans()
)


@given(cells, rules)
def test_a_cell_is_asked_once_in_a_window_and_never_later(cells, rule):
    asked = due(cells, NOW, rule)

    after = [
        CellState(name=cell.name, tried_at=NOW if place in asked else cell.tried_at) for place, cell in enumerate(cells)
    ]
    assert due(after, NOW, rule) == ([] if rule.window_s else list(range(len(cells))))
    late = NOW + timedelta(seconds=2 * rule.window_s + 1)
    assert due(after, late, rule) == list(range(len(cells)))


@given(cells, rules, st.integers(0, 5), st.text(max_size=3))
def test_what_others_do_changes_nothing_about_a_cell(cells, rule, place, error):
    if place < len(cells):
        others = [
            CellState(name=cell.name, tried_at=None, error=error) if i != place else cell
            for i, cell in enumerate(cells)
        ]
        assert (place in due(others, NOW, rule)) == (place in due(cells, NOW, rule))


@given(cells, rules)
def test_an_answer_needs_something_of_every_cell_that_is_young_enough_where_it_is_not_current(cells, rule):
    verdict = judged(cells, NOW, rule)

    for cell in cells:
        age = age_s(cell, NOW)
        if age is None or (cell.error and (rule.strict or age > rule.max_age_s)):
            assert not verdict.may_answer
            assert cell.name in verdict.error
    assert verdict.may_answer or verdict.error
    assert verdict.error or not any(cell.error for cell in cells)


@given(cells, rules, st.integers(0, 1000))
def test_time_makes_no_answer_better(cells, rule, later):
    now, then = judged(cells, NOW, rule), judged(cells, NOW + timedelta(seconds=later), rule)

    assert now.may_answer or not then.may_answer
    if now.oldest_s is not None:
        assert then.oldest_s >= now.oldest_s >= 0


def test_texts_tell_the_cell_its_trouble_and_the_age_of_what_stands_in():
    cells = [
        CellState(name="cell a", tried_at=NOW, good_at=NOW),
        CellState(name="cell b", tried_at=NOW, good_at=NOW - timedelta(seconds=41), error="no answer"),
    ]

    kept, strict = (judged(cells, NOW, Freshness(strict=strict)) for strict in (False, True))

    assert kept.error == "cell b: no answer (answered with its statistics of 41 s ago)"
    assert (kept.may_answer, kept.oldest_s) == (True, 41)
    assert strict.error == "cell b: no answer (its statistics of 41 s ago are not used)"
    assert not strict.may_answer
    assert "cell c: was not asked yet" in judged([CellState(name="cell c")], NOW, Freshness()).error
