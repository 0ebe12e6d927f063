"""A site and a real server."""

from itertools import count

import numpy as np
import pytest

from foedus.core.errors import Conflict, NotFound, Replayed
from foedus.core.statistics import Plan, Statistics
from foedus.sdk import Operator, Site
from foedus.sdk.tables import batch_of

_numbers = count()


@pytest.fixture
def customer(server):
    cid = f"lab-{next(_numbers)}"
    with Operator(server.url, server.operator_token) as operator:
        operator.add_customer(cid)
    return cid


@pytest.fixture
def site(server, customer):
    made = Site(server.url, server.operator_token, customer=customer, project="blood")
    made.create()
    yield made
    made.close()


def rows(n=5, seed=0):
    return {"x": np.random.default_rng(seed).normal(size=n), "ward": np.array(["a", "b"] * n)[:n]}


def test_what_a_site_learns_is_all_that_the_project_knows(site):
    assert site.learn(rows(5)) == 5
    site.learn(rows(7, 1))

    value = site.statistics()

    assert value.rows == 12
    both = np.concatenate([rows(5)["x"], rows(7, 1)["x"]])
    assert value.view(["x"]).mean == pytest.approx([both.mean()])


def test_a_batch_of_the_same_key_counts_once(site):
    for _ in range(3):
        site.learn(rows(), key="monday")

    assert site.statistics().rows == 5
    with pytest.raises(Replayed):
        site.learn(rows(6), key="monday")


def test_statistics_of_another_plan_are_refused(site):
    with pytest.raises(Conflict, match="keep other things"):
        site.contribute(Statistics.of(batch_of(rows(), {}), Plan(sketches=True)))


def test_a_project_that_is_none_is_told(server, customer):
    with Site(server.url, server.operator_token, customer=customer, project="none") as site, pytest.raises(NotFound):
        site.learn(rows())
