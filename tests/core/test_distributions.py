"""Distributions against SciPy."""

import pytest
import scipy.stats
from hypothesis import given, settings
from hypothesis import strategies as st

from foedus.core import distributions as d

law = settings(deadline=None, max_examples=30)
DEGREES = st.sampled_from([1.0, 2.0, 3.7, 10.0, 149.0, 1e4, 1e6]) | st.floats(0.6, 5e3)
PROBABILITIES = st.floats(1e-6, 1 - 1e-6)


def close(value, expected):
    return value == pytest.approx(expected, rel=1e-9, abs=1e-290)


@law
@given(st.floats(-60, 60), DEGREES)
def test_t_has_the_tails_of_scipy(t, df):
    assert close(d.t_two_sided(t, df), 2 * scipy.stats.t.sf(abs(t), df))


@law
@given(PROBABILITIES, DEGREES)
def test_t_has_the_quantiles_of_scipy(p, df):
    assert d.t_quantile(p, df) == pytest.approx(scipy.stats.t.ppf(p, df), rel=1e-8, abs=1e-9)


@law
@given(st.floats(1e-3, 500), DEGREES, DEGREES)
def test_f_has_the_tails_of_scipy(f, above, below):
    assert close(d.f_upper(f, above, below), scipy.stats.f.sf(f, above, below))


@law
@given(st.floats(1e-3, 5), DEGREES)
def test_chi_square_has_the_tails_of_scipy(share, df):
    assert close(d.chi_square_upper(share * df, df), scipy.stats.chi2.sf(share * df, df))


@law
@given(PROBABILITIES, DEGREES)
def test_chi_square_has_the_quantiles_of_scipy(p, df):
    assert d.chi_square_quantile(p, df) == pytest.approx(scipy.stats.chi2.ppf(p, df), rel=1e-8)


@law
@given(st.floats(0.05, 5))
def test_kolmogorov_has_the_tails_of_scipy(x):
    assert d.kolmogorov_upper(x) == pytest.approx(scipy.stats.kstwobign.sf(x), rel=1e-9, abs=1e-14)


@law
@given(st.floats(-37, 37))
def test_the_normal_distribution_has_the_tails_of_scipy(z):
    assert close(d.normal_two_sided(z), 2 * scipy.stats.norm.sf(abs(z)))
    assert close(d.normal_upper(z), scipy.stats.norm.sf(z))


def test_what_is_no_number_has_no_probability():
    nan = float("nan")
    found = [d.t_two_sided(nan, 3), d.t_quantile(2.0, 3), d.f_upper(1.0, 0, 3), d.chi_square_upper(1.0, -1)]

    assert all(value != value for value in [*found, d.kolmogorov_upper(nan), d.normal_quantile(-1)])  # noqa: PLR0124


def test_the_ends_of_distributions_are_certain():
    inf = float("inf")

    assert (d.t_two_sided(inf, 3), d.f_upper(inf, 1, 1), d.chi_square_upper(inf, 2), d.kolmogorov_upper(0)) == (
        0,
        0,
        0,
        1,
    )
    assert (d.normal_quantile(0), d.normal_quantile(1), d.chi_square_quantile(1, 3)) == (-inf, inf, inf)
