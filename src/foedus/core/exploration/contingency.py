"""Binary columns crossed: chi-square and information gain, from counts that co-moments hold exactly."""

from collections.abc import Callable
from math import nan, sqrt

import numpy as np

from foedus.core.distributions import chi_square_upper
from foedus.core.errors import Invalid
from foedus.core.exploration.query import Answer, Query, binaries_of
from foedus.core.statistics import Statistics
from foedus.core.statistics.moments import Floats
from foedus.core.statistics.schema import SEPARATOR

Label = Callable[[int, int], str]


def chi_square(statistics: Statistics, query: Query) -> Answer:
    """Pearson's test that rows (inputs) and columns (targets) are independent, without correction for continuity.

    Without targets the inputs are two categories. ``coef`` is Tschuprow's T, sqrt(chi2 / (N sqrt((r-1)(c-1)))).
    """
    inputs, targets, labels = _rows_and_columns(statistics, query)
    observed = crossed(statistics, inputs, targets)
    rows, columns, total = observed.sum(1), observed.sum(0), observed.sum()
    if not total or not rows.all() or not columns.all():
        raise Invalid("chi-square needs rows in every row and column of the table; leave out what never occurs")
    expected = np.outer(rows, columns) / total
    chi = float(((observed - expected) ** 2 / expected).sum())
    df = (len(rows) - 1) * (len(columns) - 1)
    answer = {
        "chiStat": chi,
        "df": float(df),
        "pval": chi_square_upper(chi, df) if df else nan,
        "coef": sqrt(chi / (total * sqrt(df))) if df else nan,
    }
    cells = {labels(i, j): float(observed[i, j]) for i in range(len(rows)) for j in range(len(columns))}
    return answer | cells


def gain(statistics: Statistics, query: Query) -> Answer:
    """The mutual information of two binary columns, in bits: how much knowing one says about the other."""
    inputs, targets = binaries_of(statistics, query.inputs), binaries_of(statistics, query.targets)
    if len(inputs) != 1 or len(targets) != 1:
        raise Invalid("information gain is about one binary input and one binary target")
    view = statistics.view([*inputs, *targets])
    n = float(view.n[0, 1])
    if not n:
        raise Invalid("these columns never have values in the same row")
    a, b, both = float(view.means[0, 1]) * n, float(view.means[1, 0]) * n, float(view.products()[0, 1])
    table = np.rint(np.array([[n - a - b + both, b - both], [a - both, both]])) / n
    alone = np.outer(table.sum(1), table.sum(0))
    some = table > 0
    return {"gain": float((table[some] * np.log2(table[some] / alone[some])).sum())}


def crossed(statistics: Statistics, inputs: tuple[str, ...], targets: tuple[str, ...]) -> Floats:
    """How often each input and each target are 1 together: (inputs, targets), whole numbers."""
    names = list(dict.fromkeys((*inputs, *targets)))
    products = statistics.view(names).products()
    rows, columns = ([names.index(name) for name in group] for group in (inputs, targets))
    return np.rint(products[np.ix_(rows, columns)]) + 0.0  # + 0.0: there is one zero


def _rows_and_columns(statistics: Statistics, query: Query) -> tuple[tuple[str, ...], tuple[str, ...], Label]:
    """The rows and columns of the table, and what its cells are called: by attribute, or by level of categories."""
    if query.targets:
        inputs, targets = binaries_of(statistics, query.inputs), binaries_of(statistics, query.targets)
        return inputs, targets, lambda i, j: f"obs${inputs[i]}:{targets[j]}"
    if len(query.inputs) != 2:
        raise Invalid("chi-square needs targets, or two categories as inputs")
    first, second = (binaries_of(statistics, (name,)) for name in query.inputs)
    a, b = query.inputs
    return first, second, lambda i, j: f"obs${_level(first[i], a)}:{_level(second[j], b)}"


def _level(column: str, attribute: str) -> str:
    return column.removeprefix(f"{attribute}{SEPARATOR}")
