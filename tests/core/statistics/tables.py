"""Rows for tests of statistics: as Python dictionaries, as batches, and what exact arithmetic says about them."""

from fractions import Fraction

import numpy as np
from hypothesis import settings
from hypothesis import strategies as st

from foedus.core.statistics import Batch, Codes, Column, Kind, Patients, Plan, Statistics

law = settings(deadline=None, max_examples=15)  # each example learns several times, on a machine that may be busy
CONTINUOUS = ("x", "y", "late")
PLANS = (Plan(), Plan(products=True, sketches=True, targets=("flag", "colour")))
NUMBERS = st.none() | st.floats(-1e3, 1e3, allow_subnormal=False).map(lambda x: round(x, 6))
ROW = st.fixed_dictionaries(
    {"x": NUMBERS, "y": NUMBERS},
    optional={
        "late": NUMBERS,
        "flag": st.none() | st.integers(0, 1),
        "colour": st.none() | st.sampled_from(["red", "green", "blue"]),
        "who": st.none() | st.sampled_from("abc"),
    },
)
ROWS = st.lists(ROW, max_size=8)


def batch(rows, names=(*CONTINUOUS, "flag", "colour")):
    """A batch of dictionaries; what a row lacks is missing."""
    parts = []
    for name in names:
        values = [row.get(name) for row in rows]
        if name == "colour":
            levels = tuple(sorted({v for v in values if v is not None}))
            codes = [-1 if v is None else levels.index(v) for v in values]
            parts.append(Codes(name, np.array(codes, np.int64), levels))
        else:
            kind = Kind.BINARY if name == "flag" else Kind.CONTINUOUS
            parts.append(Column(name, kind, np.array([np.nan if v is None else v for v in values], float)))
    return Batch(parts, len(rows))


def learned(rows, plan=PLANS[1], **more):
    patients = Patients.of((row.get("who") for row in rows), b"a key of 16 bytes")
    return Statistics.of(batch(rows), plan, patients=patients, **more)


def number(row, column):
    """A row's value in a column of statistics as a fraction, or None."""
    name, _, level = column.partition("$")
    value = row.get(name)
    if value is None:
        return None
    return Fraction(int(value == level)) if level else Fraction(value)


def exact(rows, i, j, power_i=1, power_j=1):
    """n, both means and the sum of u**power_i * v**power_j over the rows where columns i and j are observed."""
    pairs = [(number(row, i), number(row, j)) for row in rows]
    pairs = [(x, y) for x, y in pairs if x is not None and y is not None]
    n = len(pairs)
    if not n:
        return 0, 0, 0, 0
    mean_i, mean_j = (sum(column) / n for column in zip(*pairs, strict=True))
    return n, mean_i, mean_j, sum((x - mean_i) ** power_i * (y - mean_j) ** power_j for x, y in pairs)
