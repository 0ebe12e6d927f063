"""Columns of a DataFrame: read all at once where that can be, and to the same as cell by cell."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from foedus.core.errors import Invalid, TooLarge
from foedus.core.symetryml.frames import Frame, learnable, numbers, text_of, texts_of

CELLS = st.one_of(
    st.sampled_from(["", " ", "nan", "NaN", "null", "NULL", "1", " 2 ", "-0.5", "1e3", "1_0", "inf", "x", "0x1"]),
    st.floats(allow_nan=True, allow_infinity=True), st.integers(-(10**30), 10**30), st.none(), st.booleans(),
)  # fmt: skip


def alone(cell):
    """What a column of this cell and one that is read cell by cell gives."""
    values, good = numbers("a", [cell, []], binary=False, strict=False)
    return values[0], good[0]


@given(st.lists(CELLS, min_size=1, max_size=6))
def test_a_column_is_read_as_its_cells_are(cells):
    values, good = numbers("a", cells, binary=False, strict=False)

    for cell, value, fine in zip(cells, values, good, strict=True):
        wanted, readable = alone(cell)
        assert fine == readable
        assert value == wanted or (math.isnan(value) and math.isnan(wanted))


@pytest.mark.parametrize("cell", ["1_000", "x", "inf", "1e71", [], {}, 10**400, True, "true"])
def test_a_cell_that_is_no_number_is_told_by_its_row(cell):
    with pytest.raises(Invalid, match="row 1, attribute 'a'"):
        numbers("a", ["1", cell], binary=False)


def test_truth_values_are_numbers_of_binary_columns():
    values, _ = numbers("a", [True, "0", False, None], binary=True)

    assert values[:3].tolist() == [1.0, 0.0, 0.0]
    assert math.isnan(values[3])


TEXTS = st.one_of(
    st.sampled_from(["", " A ", "a", "null", None, 1, 1.0, True, "1", "1.0", "true"]), st.text(max_size=5)
)


@given(st.lists(TEXTS, max_size=8))
def test_texts_of_a_column_are_those_of_its_cells(cells):
    try:
        wanted = [text_of("a", cell) for cell in cells]
    except Invalid:
        with pytest.raises(Invalid):
            texts_of("a", cells)
    else:
        assert texts_of("a", cells) == wanted


def test_categories_get_their_levels_and_blanks_none():
    frame = Frame.of({"attributeNames": ["t"], "attributeTypes": ["T"], "data": [["b"], [" A"], [None], ["a"], [""]]})

    (codes,) = learnable(frame, max_columns=10).batch._parts

    assert codes.levels == ("a", "b")
    assert np.asarray(codes.codes).tolist() == [1, 0, -1, 0, -1]


@pytest.mark.parametrize(("row", "found"), [(["1"], "1 cells"), ("ab", "no list"), (None, "no list"), (["1"] * 3, "3")])
def test_a_row_of_another_length_is_told(row, found):
    with pytest.raises(Invalid, match=f"row 1 has {found}"):
        Frame.of({"attributeNames": ["a", "b"], "data": [["1", "2"], row]})


def test_categories_beyond_count_are_refused_before_all_are_read():
    cells = [*map(str, range(50)), "\n"]  # the last is no value of a category, and is not looked at
    frame = Frame.of({"attributeNames": ["k"], "attributeTypes": ["T"], "data": [[cell] for cell in cells]}, {})

    with pytest.raises(TooLarge, match="more than 10 different values"):
        learnable(frame, max_columns=10)
