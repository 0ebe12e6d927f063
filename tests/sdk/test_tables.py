from decimal import Decimal

import numpy as np
import pytest

from foedus.core.errors import Invalid
from foedus.core.statistics import Kind, Statistics
from foedus.sdk.tables import batch_of

AGES = [41.0, None, 33.0]
WARDS = ["North", None, " south "]
SMOKES = [True, False, None]


def mapping():
    return {
        "age": np.array(AGES, dtype=float), "ward": np.array(WARDS, dtype=object),
        "smokes": np.array(SMOKES, dtype=object),
    }  # fmt: skip


class Series:
    """A column of either library."""

    def __init__(self, values):
        self._values = values

    def to_numpy(self, *, zero_copy_only=False):
        return self._values


class Frame:
    """What pandas and polars have in common."""

    def __init__(self, columns):
        self._columns = columns
        self.columns = list(columns)

    def __getitem__(self, name):
        return Series(self._columns[name])


class Table:
    """What Arrow has."""

    def __init__(self, columns):
        self._columns = columns
        self.column_names = list(columns)

    def column(self, name):
        return Series(self._columns[name])


@pytest.mark.parametrize("made", [dict, Frame, Table])
def test_every_kind_of_table_is_the_same_batch(made):
    batch = batch_of(made(mapping()), {})

    assert batch.schema.columns == ("age", "smokes", "ward$north", "ward$south")
    assert [a.kind for a in batch.schema.attributes] == [Kind.CONTINUOUS, Kind.BINARY, Kind.CATEGORY]
    assert Statistics.of(batch).view(["age"]).mean == pytest.approx([37.0])


def test_decimals_are_numbers():
    batch = batch_of({"price": np.array([Decimal("1.25"), None, Decimal("2.75")], dtype=object)}, {})

    assert Statistics.of(batch).view(["price"]).mean == pytest.approx([2.0])


def test_records_of_numpy_are_a_table():
    records = np.array([(1, 2.5), (3, 4.5)], dtype=[("a", "i4"), ("b", "f8")])

    assert Statistics.of(batch_of(records, {})).view(["a", "b"]).mean == pytest.approx([2.0, 3.5])


def test_kinds_may_be_told():
    rows = {"a": np.array([0, 1]), "b": np.array([1, 2]), "c": np.array([3, 4])}

    batch = batch_of(rows, {"a": "binary", "b": "category", "c": "ignored"})

    assert batch.schema.columns == ("a", "b$1", "b$2")


@pytest.mark.parametrize(
    ("rows", "kinds", "text"),
    [
        (7, {}, "is no table"), (np.zeros(3), {}, "no names"), ({"a": np.zeros((2, 2))}, {}, "2 dimensions"),
        ({"a": np.zeros(2)}, {"b": "binary"}, "no column 'b'"), ({"a": np.zeros(2)}, {"a": "odd"}, "no kind 'odd'"),
        ({"a": np.array(["x"])}, {"a": "continuous"}, "no numbers"),
        ({"a": np.zeros(2), "b": np.zeros(3)}, {}, "length"),
    ],
)  # fmt: skip
def test_what_is_no_table_is_told(rows, kinds, text):
    with pytest.raises(Invalid, match=text):
        batch_of(rows, kinds)
