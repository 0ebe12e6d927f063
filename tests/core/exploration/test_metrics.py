"""Metrics against SciPy and statsmodels on the rows themselves."""

from contextlib import suppress

import numpy as np
import pytest
import scipy.stats
from numpy.testing import assert_allclose
from statsmodels.stats.proportion import proportions_ztest
from tests.core.exploration.irises import COLUMNS, LENGTHS, SPECIES, iris, rows

from foedus.core import registry
from foedus.core.errors import Invalid, NotFound
from foedus.core.exploration import Query, explore, rounded
from foedus.core.exploration.components import principal_components
from foedus.core.exploration.distribution import conditional_density, densities
from foedus.core.exploration.query import GROUP
from foedus.core.statistics import Batch, Codes, Column, Kind, Plan, Statistics

IRIS, ROWS = iris(), rows()
SEPAL, PETAL = ROWS[:, 0], ROWS[:, 2]


def asked(metric, inputs, targets=(), **options):
    return explore(metric, IRIS, Query(tuple(inputs), tuple(targets), options))


def test_skewness_and_kurtosis_are_those_of_scipy():
    answer = asked("uni", ["petal_length"])

    assert_allclose(answer["kurtosis"], scipy.stats.kurtosis(PETAL, fisher=False), rtol=1e-12)
    factor = 150**2 / (149 * 148)
    assert_allclose(answer["skewness"], factor * scipy.stats.skew(PETAL), rtol=1e-12)


def test_unbiased_divides_by_one_less():
    assert_allclose(asked("uni", ["petal_length"], unbiased="true")["variance"], PETAL.var(ddof=1), rtol=1e-12)


def test_quantiles_lie_within_a_bin_of_the_true_ones():
    answer = asked("quantiles", ["petal_length"], quantiles="0.1,0.5,0.9")

    assert_allclose(list(answer.values()), np.quantile(PETAL, [0.1, 0.5, 0.9], method="inverted_cdf"), atol=1e-9)


def test_conditional_statistics_are_those_of_the_rows_where_the_binary_is_one():
    chosen = SEPAL[ROWS[:, 13] == 1]

    answer = asked("bi", ["sepal_length", SPECIES[1]], need_bi_conditional_mmm="true")

    assert_allclose(answer["condMean"], chosen.mean(), rtol=1e-12)
    assert_allclose(answer["condVariance"], chosen.var(), rtol=1e-12)
    assert (answer["condMin"], answer["condMax"]) == (chosen.min(), chosen.max())
    low, high = scipy.stats.t.interval(0.95, 49, chosen.mean(), chosen.std() / np.sqrt(50))
    assert_allclose([answer["biCi95Down"], answer["biCi95Up"]], [low, high], rtol=1e-10)


def test_t_is_that_of_scipy_pooled_and_after_welch():
    answer = asked("ttest", ["sepal_length", "petal_length"])

    pooled, welch = (scipy.stats.ttest_ind(SEPAL, PETAL, equal_var=equal) for equal in (True, False))
    assert_allclose([answer["t"], answer["tp"]], [pooled.statistic, pooled.pvalue], rtol=1e-10)
    assert_allclose(
        [answer["tu"], answer["tdfu"], answer["tpu"]], [welch.statistic, welch.df, welch.pvalue], rtol=1e-10
    )


def test_two_groups_of_one_column_are_two_samples():
    answer = asked("ttest", ["sepal_length", SPECIES[0], SPECIES[1]])

    expected = scipy.stats.ttest_ind(SEPAL[:50], SEPAL[50:100])
    assert_allclose([answer["t"], answer["tp"]], [expected.statistic, expected.pvalue], rtol=1e-10)


def test_a_mean_is_compared_with_a_known_one():
    answer = asked("ttestmu", ["sepal_length"], sml_explore_ttest_known_mu="5.8")

    expected = scipy.stats.ttest_1samp(SEPAL, 5.8)
    assert_allclose([answer["t"], answer["tp"]], [expected.statistic, expected.pvalue], rtol=1e-10)
    z = asked("ztestmu", ["sepal_length"], sml_explore_ztest_known_mu=5.8)["z"]
    assert_allclose(z, (SEPAL.mean() - 5.8) / (SEPAL.std() / np.sqrt(150)), rtol=1e-10)


def test_shares_are_compared_as_statsmodels_does():
    answer = asked("ztestp", ["sepal_lengt_b1", "sepal_width_b1"])

    z, p = proportions_ztest(ROWS[:, [4, 6]].sum(0), [150, 150])
    assert_allclose([answer["z"], answer["zp"]], [z, p], rtol=1e-10)


def test_f_and_its_probability_are_those_of_scipy():
    answer = asked("ftest", ["sepal_length", "petal_width"])

    f = SEPAL.var(ddof=1) / ROWS[:, 3].var(ddof=1)
    assert_allclose([answer["f"], answer["fp"]], [f, 2 * scipy.stats.f.sf(f, 149, 149)], rtol=1e-10)
    known = asked("ftestmu", ["sepal_length"], sml_explore_ftest_known_sigma=0.8)
    assert_allclose(known["f"], SEPAL.var(ddof=1) / 0.64, rtol=1e-10)
    assert_allclose(known["fp"], 2 * scipy.stats.chi2.sf(149 * known["f"], 149), rtol=1e-10)


def test_variance_is_analysed_by_species_as_scipy_does():
    answer = asked("anova", ["sepal_length"], SPECIES)

    expected = scipy.stats.f_oneway(SEPAL[:50], SEPAL[50:100], SEPAL[100:])
    assert_allclose([answer["F"], answer["P"]], [expected.statistic, expected.pvalue], rtol=1e-9)


def test_chi_square_is_that_of_scipy():
    answer = asked("chi2", ["sepal_width_b1", "sepal_width_b2"], SPECIES)

    table = [[(ROWS[:, 6 + i] * ROWS[:, 12 + j]).sum() for j in range(3)] for i in range(2)]
    chi, p, df, _ = scipy.stats.chi2_contingency(table, correction=False)
    assert_allclose([answer["chiStat"], answer["pval"], answer["df"]], [chi, p, df], rtol=1e-10)
    assert answer["obs$sepal_width_b1:Iris_setosa"] == table[0][0]


def test_categories_stand_for_their_levels():
    colours = Codes("colour", np.array([0, 0, 1, 1, 2, 2, 0]), ("blue", "green", "red"))
    sizes = Codes("size", np.array([0, 1, 0, 1, 1, 1, 0]), ("big", "small"))
    statistics = Statistics.of(Batch([colours, sizes]))

    answer = explore("chi2", statistics, Query(("colour", "size")))

    assert answer["df"] == 2
    assert answer["obs$blue:big"] == 2
    assert answer["obs$red:big"] == 0


def test_the_distance_of_distributions_is_that_of_scipy():
    answer = asked("kstest", ["sepal_length", "petal_length"])

    expected = scipy.stats.ks_2samp(SEPAL, PETAL, method="asymp")
    assert_allclose(answer["ks"], expected.statistic, atol=1e-12)
    assert 0 <= answer["ksp"] < 1e-10


def test_components_are_those_of_the_correlation_matrix():
    found = principal_components(IRIS, LENGTHS, explained=0.9)

    matrix = np.corrcoef(ROWS[:, :4].T)
    assert len(found.values) == 2
    assert_allclose(matrix @ found.vectors.T, found.vectors.T * found.values, atol=1e-12)


def test_densities_count_as_numpy_does():
    (found,) = densities(IRIS, ["petal_width"], Query((), options={"hist_bins": "12"}))

    assert_allclose(found.counts, np.histogram(ROWS[:, 3], 12)[0], atol=1e-6)
    (binary,) = densities(IRIS, [SPECIES[0]], Query((), options={"hist_bins": 2}))
    assert binary.counts == (100.0, 50.0)
    given = conditional_density(IRIS, "petal_width", SPECIES[0], Query((), options={"hist_bins": 5}))
    assert sum(given.counts) == pytest.approx(50)


@pytest.mark.parametrize("metric", ["ztest", "ttest", "ftest"])
def test_binary_columns_that_split_another_may_be_targets(metric):
    assert asked(metric, ["petal_length"], SPECIES[:2]) == asked(metric, ["petal_length", *SPECIES[:2]])


def without_parts():
    """Two normal columns of unlike spread, stacked; binary ``b`` tells which, and is sometimes missing."""
    rng = np.random.default_rng(5)
    x = np.concatenate([rng.normal(50, 10, 3000), rng.normal(65, 6, 1000)])
    b = np.repeat([0.0, 1.0], [3000, 1000])
    b[::40] = np.nan
    columns = Batch([Column("x", Kind.CONTINUOUS, x), Column("b", Kind.BINARY, b)])
    return Statistics.of(columns, Plan(sketches=True)), x[b == 1]


@pytest.mark.parametrize("names", [("x", "b"), ("b", "x")])
def test_a_conditional_density_without_a_sketch_of_its_own_follows_from_moments(names):
    statistics, chosen = without_parts()

    found = conditional_density(statistics, *names, Query((), options={"hist_bins": 12}))

    assert found.column == "x|b"
    true, edges = np.histogram(chosen, 12, (found.least, found.most))
    assert sum(found.counts) == pytest.approx(len(chosen))
    assert np.abs(np.array(found.counts) - true).sum() < 0.08 * len(chosen)
    middles = (edges[:-1] + edges[1:]) / 2
    assert found.counts @ middles / len(chosen) == pytest.approx(chosen.mean(), rel=0.005)


def test_extremes_and_median_without_a_sketch_of_their_own_are_near():
    statistics, chosen = without_parts()

    found = explore("bi", statistics, Query(("x", "b"), options={"need_bi_conditional_mmm": "true"}))

    assert found["condMedian"] == pytest.approx(np.median(chosen), abs=0.5)
    assert found["condMin"] == pytest.approx(chosen.min(), abs=6)
    assert found["condMax"] == pytest.approx(chosen.max(), abs=6)


@pytest.mark.parametrize("scale", [1e-6, 1.0, 1e9])
def test_a_column_that_tells_the_binary_without_fail_is_split_by_it(scale):
    x = np.concatenate([np.linspace(0, 1, 50), np.linspace(10, 11, 50)]) * scale
    columns = [Column("x", Kind.CONTINUOUS, x), Column("b", Kind.BINARY, np.repeat([0.0, 1.0], 50))]
    statistics = Statistics.of(Batch(columns), Plan(sketches=True))

    found = conditional_density(statistics, "x", "b", Query((), options={"hist_bins": 2}))

    assert found.counts == pytest.approx((0, 50), abs=1e-3)


@pytest.mark.parametrize("metric", registry.names(GROUP))
@pytest.mark.parametrize(
    "query",
    [Query(()), Query(("nobody",)), Query(COLUMNS * 2, ("nobody",)), Query(("sepal_length",), ("sepal_length",))],
    ids=["nothing", "unknown", "too-many", "wrong-kind"],
)
def test_what_does_not_fit_is_a_clear_error_or_an_answer(metric, query):
    answer = {}
    with suppress(Invalid, NotFound):
        answer = explore(metric, IRIS, query)

    assert all(isinstance(value, int | float) for value in answer.values())


@pytest.mark.parametrize("metric", ["uni", "bi", "ztest", "ttest", "anova", "covariance", "correlation", "vif"])
def test_merged_statistics_answer_as_pooled_ones(metric):
    inputs = LENGTHS[:1] if metric == "uni" else LENGTHS[:2]
    columns = [
        [Column(n, Kind.CONTINUOUS, ROWS[part, k]) for k, n in enumerate(LENGTHS)]
        for part in (slice(40), slice(40, 150))
    ]
    plan = Plan(products=True)
    merged = Statistics.of(Batch(columns[0]), plan).merge(Statistics.of(Batch(columns[1]), plan))
    pooled = Statistics.of(Batch([Column(n, Kind.CONTINUOUS, ROWS[:, k]) for k, n in enumerate(LENGTHS)]), plan)

    here, there = (explore(metric, statistics, Query(inputs)) for statistics in (merged, pooled))

    assert here.keys() == there.keys()
    assert_allclose(list(here.values()), list(there.values()), rtol=1e-9)


def test_rounding_is_to_four_decimals_unless_told_otherwise():
    assert rounded({"a": 1 / 3, "b": float("inf")}) == {"a": 0.3333, "b": float("inf")}
    assert rounded({"a": 1 / 3}, "%.2f") == {"a": 0.33}
