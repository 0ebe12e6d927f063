"""``python benchmarks/run.py statistics_models``: how long models and explorations take once statistics are there.

Each is beside what scikit-learn or NumPy takes for the same from the rows, read once more; these are in memory already.
Goals: any model in 1 s at 500 attributes, an exploration in 50 ms at 100 attributes.
"""

import argparse
import time

import numpy as np
from benchmarks.machine import described
from sklearn import covariance, decomposition, discriminant_analysis, linear_model, naive_bayes

from foedus.core import registry
from foedus.core.exploration import Query, explore
from foedus.core.exploration.components import principal_components, singular_values
from foedus.core.exploration.query import GROUP as EXPLORATIONS
from foedus.core.models import Task
from foedus.core.models.model import GROUP
from foedus.core.statistics import Batch, Column, Kind, Plan, Statistics, Table

TARGETS = ("one", "two", "three")
OPTIONS = {"powerreg": {}, "covest": {}, "pcr": {"q": 10}, "plsq": {"q": 10}}
EXTRA = {
    "covest (lasso 0.1)": ("covest", {"lasso": True, "strength": 0.1}),
    "lasso (aicc, 100 strengths)": ("lasso", {"search": "aicc"}),
}


def table(rows, columns):
    rng = np.random.default_rng(0)
    common = rng.normal(size=(rows, 10))
    x = common @ rng.normal(size=(10, columns)) + 3 * rng.normal(size=(rows, columns)) + 10
    y = x[:, :20] @ rng.normal(size=20) + rng.normal(size=rows)
    kind = np.argmax(common[:, :3] + rng.normal(size=(rows, 3)), axis=1)
    return x, y, kind


def learned(x, y, kind):
    names = tuple(f"x{k}" for k in range(x.shape[1]))
    classes = [Column(name, Kind.BINARY, (kind == k).astype(float)) for k, name in enumerate(TARGETS)]
    powers = Column("pt_y^1", Kind.CONTINUOUS, y)
    parts = [Table(names, (Kind.CONTINUOUS,) * len(names), x), Column("y", Kind.CONTINUOUS, y), powers, *classes]
    return Statistics.of(Batch(parts), Plan(products=True, sketches=True, targets=TARGETS), threads=2), names


def seconds(call, least=3):
    times = []
    while len(times) < least and sum(times) < 5:
        started = time.perf_counter()
        call()
        times.append(time.perf_counter() - started)
    return min(times)


def rivals(x, y, kind):
    two = (kind == 0).astype(int)
    return {
        "mlr": lambda: linear_model.LinearRegression().fit(x, y),
        "ridge": lambda: linear_model.Ridge().fit(x, y),
        "lasso": lambda: linear_model.Lasso(0.1).fit(x, y),
        "elasticnet": lambda: linear_model.ElasticNet(0.1).fit(x, y),
        "lda": lambda: discriminant_analysis.LinearDiscriminantAnalysis(solver="lsqr").fit(x, two),
        "mlda": lambda: discriminant_analysis.LinearDiscriminantAnalysis(solver="lsqr").fit(x, kind),
        "mqda": lambda: discriminant_analysis.QuadraticDiscriminantAnalysis().fit(x, kind),
        "bayes": lambda: naive_bayes.GaussianNB().fit(x, kind),
        "covest": lambda: covariance.EmpiricalCovariance().fit(x),
        "oospca": lambda: decomposition.PCA(0.95, svd_solver="covariance_eigh").fit(x),
    }


def tasks(names):
    regression, classes, two = Task(names, ("y",)), Task(names, TARGETS), Task(names, TARGETS[:1])
    numeric = dict.fromkeys(("mlr", "ridge", "lasso", "elasticnet", "pcr", "plsq", "lsvr", "powerreg"), regression)
    return {
        **numeric, "lda": two, "lsvm": two, **dict.fromkeys(("mlda", "mqda", "bayes"), classes),
        **dict.fromkeys(("covest", "ecod", "hba", "oospca"), Task(names)),
    }  # fmt: skip


def models(rows, columns):
    x, y, kind = table(rows, columns)
    statistics, names = learned(x, y, kind)
    others, known = rivals(x, y, kind), tasks(names)
    everything = {name: (name, OPTIONS.get(name, {})) for name in registry.names(GROUP) if name in known} | EXTRA
    print(f"models of {columns} attributes, {rows} rows      ms   from rows, ms   ratio")
    for label, (name, options) in everything.items():
        recipe = registry.build(GROUP, name, options)
        ours = seconds(lambda recipe=recipe, name=name: recipe.fit(statistics, known[name]))
        theirs = seconds(others[label]) if label in others else None
        beside = f"{theirs * 1e3:12.1f} {theirs / ours:10.1f}" if theirs else ""
        print(f"{label:44} {ours * 1e3:8.1f} {beside}", flush=True)


def explorations(rows, columns):
    x, y, kind = table(rows, columns)
    statistics, names = learned(x, y, kind)
    asked = {name: Query(names[:2]) for name in registry.names(EXPLORATIONS)}
    asked |= {name: Query(names) for name in ("anova", "correlation", "covariance", "vif")}
    asked |= {"uni": Query(names[:1]), "quantiles": Query(names[:1]), "ztestp": Query(TARGETS[:2])}
    asked |= {"chi2": Query(TARGETS[:2], TARGETS[:2]), "gain": Query(TARGETS[:1], TARGETS[1:2])}
    known = {"sml_explore_ztest_known_mu": 1, "sml_explore_ttest_known_mu": 1, "sml_explore_ftest_known_sigma": 1}
    asked |= {name: Query(names[:1], options=known) for name in ("ztestmu", "ttestmu", "ftestmu")}
    print(f"explorations of {columns} attributes            ms")
    for name, query in asked.items():
        print(f"{name:44} {seconds(lambda name=name, query=query: explore(name, statistics, query)) * 1e3:8.2f}")
    print(f"{'pca':44} {seconds(lambda: principal_components(statistics, names)) * 1e3:8.2f}")
    print(f"{'svd':44} {seconds(lambda: singular_values(statistics, names)) * 1e3:8.2f}")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=20_000)
    parser.add_argument("--columns", type=int, default=500)
    chosen = parser.parse_args()
    print(described())
    models(chosen.rows, chosen.columns)
    explorations(chosen.rows, 100)


if __name__ == "__main__":
    main()
