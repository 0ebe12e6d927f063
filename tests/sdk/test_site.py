"""A site and a real server."""

import json
from dataclasses import replace
from itertools import count

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from tests.core.models.tables import cancer

from foedus.core.errors import Conflict, Invalid, NotFound, Replayed
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


@pytest.fixture
def cells(server, customer):
    """A project about tumours: what was measured of cells, and whether it was benign."""
    table, names = cancer(4)
    made = Site(server.url, server.operator_token, customer=customer, project="cells")
    made.create(sketches=True)
    made.learn(dict(zip(names, table.T, strict=True)), {"benign": "binary"})
    yield made, table, names
    made.close()


def test_a_site_asks_without_rows(cells):
    site, table, names = cells

    about = site.explore("uni", [names[0]])
    parts = site.explore("pca", names[:4], explained=0.9)

    assert about["mean"] == pytest.approx(table[:, 0].mean(), rel=1e-12)
    assert sum(parts["values"]) < parts["total"] == pytest.approx(4)
    assert site.explore("correlation", names[:2])
    assert site.explore("densities", [names[0]], hist_bins=5)[names[0]]["error"] is None
    assert site.explore("svd", names[:4])["columns"] == list(names[:4])
    with pytest.raises(Invalid, match=r"uni.*densities"):
        site.explore("dance")
    with pytest.raises(NotFound):
        site.explore("uni", ["nothing"])


@pytest.mark.parametrize("form", ["mapping", "pandas", "arrow"])
def test_a_model_is_built_asked_exported_and_removed(cells, form):
    site, table, names = cells
    inputs = list(names[:4])

    built = site.build("m", "lda", inputs, ["benign"])
    said = site.predict("m", as_table(form, dict(zip(names, table.T, strict=True))))

    assert (built.algorithm, list(built.inputs), built.targets) == ("lda", inputs, ("benign",))
    assert (said["res"] == table[:, -1]).mean() > 0.85
    assert site.models() == [replace(site.model("m"), fitted=None)]
    assert json.loads(site.export("m"))["algorithm"] == "lda"
    assert b"<PMML" in site.export("m", "pmml")
    site.delete_model("m")
    with pytest.raises(NotFound):
        site.predict("m", {"x": np.zeros(1)})


def test_many_rows_are_asked_in_blocks(cells):
    site, _, names = cells
    site.build("m", "mlr", names[:1], names[1:2])

    said = site.predict("m", {names[0]: np.r_[np.arange(25_000.0), np.nan]})["res"]

    assert len(said) == 25_001
    slope = np.diff(said[:-1])
    assert slope == pytest.approx(slope[0])
    assert said[-1] == pytest.approx(site.explore("uni", [names[1]])["mean"])


@pytest.mark.parametrize(
    ("arguments", "options", "reason"),
    [
        (("m", "dance"), {}, "there are bayes"), (("m", "mlr", ["x"], ["y"]), {"speed": 1}, "no option 'speed'"),
        (("m", "mlr"), {}, "at least one input"), (("a/b", "mlr", ["x"], ["y"]), {}, "200 characters"),
        (("m", "km"), {}, "km_time_column"),
    ],
)  # fmt: skip
def test_what_cannot_be_built_is_told(site, arguments, options, reason):
    site.learn({"x": np.arange(5.0), "y": np.arange(5.0) ** 2})

    with pytest.raises(Invalid, match=reason):
        site.build(*arguments, **options)


def as_table(form, columns):
    if form == "mapping":
        return columns
    return pa.table(columns) if form == "arrow" else pd.DataFrame(columns)
