"""Nodes that each have some of the rows fit what one project with all of them would, to every digit that is printed."""

import numpy as np
import pytest

from foedus.core.models.linear import LinearRegression
from foedus.core.models.model import Task
from foedus.core.statistics import Batch, Kind, Plan, Statistics, Table, encode, merge_all

NAMES = ("fare", "distance", "hour", "rate", "payment", "extra", "tolls", "places")
TASK = Task(inputs=NAMES[1:], targets=NAMES[:1])
PLAN = Plan(products=True, sketches=True)
N = 20_000
BOUNDS = {  # of the greatest of each: rows are summed in another order; third powers nearly cancel
    **dict.fromkeys(("mean", "spread", "comoment", "fourth", "product"), 2e-15), "cube": 1e-12, "square": 1e-12,
}  # fmt: skip


@pytest.fixture(scope="module")
def rides():
    """Made up, with the columns, the skewness and the rare codes of a day of taxi rides."""
    rng = np.random.default_rng(11)
    distance = rng.gamma(1.5, 1.6, N).round(2)
    hour, places = rng.integers(0, 24, N), rng.integers(1, 265, N)
    rate = rng.choice([1, 2, 3, 5], N, p=[0.96, 0.03, 0.005, 0.005])
    payment = rng.choice([1, 2, 3, 4], N, p=[0.7, 0.28, 0.01, 0.01])
    extra, tolls = rng.choice([0, 0.5, 1], N), rng.choice([0, 5.76], N, p=[0.95, 0.05])
    fare = (4 + 2.7 * distance + 7.6 * (rate - 1) - 0.3 * payment + rng.normal(0, 1.5, N)).round(1)
    return np.column_stack([fare, distance, hour, rate, payment, extra, tolls, places])


def learned(rows):
    return Statistics.of(Batch([Table(NAMES, (Kind.CONTINUOUS,) * len(NAMES), rows)]), PLAN)


def printed(statistics):
    found = LinearRegression().fit(statistics, TASK)
    return [[f"{value:.4f}" for value in each] for each in (found.coefficients, found.errors, found.scores)]


@pytest.mark.parametrize("nodes", [2, 10, 50])
def test_any_split_gives_the_same_bytes_everywhere_and_the_pooled_regression(rides, nodes):
    rng, pooled = np.random.default_rng(nodes), learned(rides)
    cuts = np.sort(rng.choice(np.arange(1, N), nodes - 1, replace=False))
    sites = [learned(rows) for rows in np.split(rides, cuts)]

    merged = {encode(merge_all([sites[place] for place in rng.permutation(nodes)])) for _ in range(3)}
    total = merge_all(sites).total.moments

    assert len(merged) == 1
    for name, bound in BOUNDS.items():
        ours, theirs = getattr(total, name), getattr(pooled.total.moments, name)
        assert np.abs(ours - theirs).max() <= bound * np.abs(theirs).max(), name
    assert printed(merge_all(sites)) == printed(pooled)
