"""Normal, Student, Fisher, chi-square and Kolmogorov distributions: tail probabilities and quantiles.

Tails are computed as such, never as 1 - p, so that small ones keep their digits: relative errors are below 1e-9 down to
1e-290 and up to 1e7 degrees of freedom. Sources: regularised incomplete beta and gamma by continued fractions and
series as in Press et al., Numerical Recipes, 6.2 and 6.4, evaluated by Lentz's method; differences of log-gamma for
large arguments by Stirling's series, DiDonato and Morris, ACM TOMS 18 (1992), ``algdiv``.
"""

from collections.abc import Callable
from math import erfc, exp, inf, isnan, lgamma, log, log1p, nan, pi, sqrt
from statistics import NormalDist

_TINY = 1e-300
_ENOUGH = 1e-16
_MOST_TERMS = 100_000
_LARGE = 10.0  # from here on Stirling's series has all digits


def normal_upper(z: float) -> float:
    """P(Z > z)."""
    return 0.5 * erfc(z / sqrt(2.0))


def normal_two_sided(z: float) -> float:
    """P(abs(Z) > abs(z))."""
    return erfc(abs(z) / sqrt(2.0))


def normal_quantile(p: float) -> float:
    """The z with P(Z < z) = p; infinite for 0 and 1."""
    if not 0.0 < p < 1.0:
        return nan if isnan(p) or not 0.0 <= p <= 1.0 else (inf if p else -inf)
    return NormalDist().inv_cdf(p)


def t_two_sided(t: float, df: float) -> float:
    """P(abs(T) > abs(t)) with ``df`` degrees of freedom, which need not be whole."""
    if isnan(t) or not df > 0:
        return nan
    square = t * t
    if square == inf:
        return 0.0
    return beta_lower(df / 2, 0.5, df / (df + square), square / (df + square))


def t_quantile(p: float, df: float) -> float:
    """The t with P(T < t) = p."""
    if isnan(p) or not 0.0 <= p <= 1.0 or not df > 0:
        return nan
    if p == 0.5:
        return 0.0
    tail = 2.0 * min(p, 1.0 - p)
    size = _falling(lambda t: t_two_sided(t, df), tail)
    return size if p > 0.5 else -size


def f_upper(f: float, above: float, below: float) -> float:
    """P(F > f) with ``above`` and ``below`` degrees of freedom."""
    if isnan(f) or not (above > 0 and below > 0):
        return nan
    if f <= 0:
        return 1.0
    if f == inf:
        return 0.0
    return beta_lower(below / 2, above / 2, below / (below + above * f), above * f / (below + above * f))


def chi_square_upper(x: float, df: float) -> float:
    """P(X > x) with ``df`` degrees of freedom."""
    if isnan(x) or not df > 0:
        return nan
    return gamma_upper(df / 2, x / 2)


def chi_square_quantile(p: float, df: float) -> float:
    """The x with P(X < x) = p."""
    if isnan(p) or not 0.0 <= p <= 1.0 or not df > 0:
        return nan
    return _falling(lambda x: chi_square_upper(x, df), 1.0 - p)


def kolmogorov_upper(x: float) -> float:
    """P(sqrt(n) D > x) for large n. Source: Kolmogorov (1933); for small x by Jacobi's identity."""
    if isnan(x):
        return nan
    if x <= 0:
        return 1.0
    if x < 1.0:
        lower = sum(exp(-((2 * k - 1) ** 2) * pi**2 / (8 * x * x)) for k in range(1, 8))
        return 1.0 - sqrt(2 * pi) / x * lower
    return min(1.0, 2.0 * sum((-1.0) ** (k - 1) * exp(-2.0 * k * k * x * x) for k in range(1, 20)))


def beta_lower(a: float, b: float, x: float, y: float) -> float:
    """I_x(a, b), with ``y`` = 1 - x given as well since it may be the one that has the digits."""
    if x <= 0.0 or y <= 0.0:
        return 0.0 if x <= 0.0 else 1.0
    log_x = log1p(-y) if y < 0.5 else log(x)
    log_y = log1p(-x) if x < 0.5 else log(y)
    front = exp(a * log_x + b * log_y - _log_beta(a, b))
    if x < (a + 1.0) / (a + b + 2.0):
        return front * _beta_fraction(a, b, x) / a
    return 1.0 - front * _beta_fraction(b, a, y) / b


def _beta_fraction(a: float, b: float, x: float) -> float:
    def step(m: int) -> tuple[float, float]:
        even = m * (b - m) * x / ((a + 2 * m - 1.0) * (a + 2 * m))
        odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1.0))
        return even, odd

    c, d = 1.0, 1.0 / _away(1.0 - (a + b) * x / (a + 1.0))
    h = d
    for m in range(1, _MOST_TERMS):
        factor = 1.0
        for term in step(m):
            d = 1.0 / _away(1.0 + term * d)
            c = _away(1.0 + term / c)
            factor = c * d
            h *= factor
        if abs(factor - 1.0) < _ENOUGH * 4:
            break
    return h


def gamma_upper(a: float, x: float) -> float:
    """Q(a, x), the regularised upper incomplete gamma function."""
    if x <= 0.0:
        return 1.0
    if x == inf:
        return 0.0
    front = exp(_log_gamma_density(a, x))
    return 1.0 - front * _gamma_series(a, x) if x < a + 1.0 else front * _gamma_fraction(a, x)


def _gamma_series(a: float, x: float) -> float:
    term = total = 1.0 / a
    for k in range(1, _MOST_TERMS):
        term *= x / (a + k)
        total += term
        if term < total * _ENOUGH:
            break
    return total


def _gamma_fraction(a: float, x: float) -> float:
    b = x + 1.0 - a
    c, d = 1.0 / _TINY, 1.0 / _away(b)
    h = d
    for k in range(1, _MOST_TERMS):
        an = -k * (k - a)
        b += 2.0
        d = 1.0 / _away(an * d + b)
        c = _away(b + an / c)
        h *= c * d
        if abs(c * d - 1.0) < _ENOUGH * 4:
            break
    return h


def _log_gamma_density(a: float, x: float) -> float:
    """a*log(x) - x - lgamma(a), without loss of digits where these nearly cancel."""
    if a < _LARGE:
        return a * log(x) - x - lgamma(a)
    u = (x - a) / a
    gap = log1p(u) - u if abs(u) < 0.5 else log(x / a) - u
    return a * gap + 0.5 * log(a / (2 * pi)) - _stirling(a)


def _log_beta(a: float, b: float) -> float:
    a, b = max(a, b), min(a, b)
    if a < _LARGE:
        return lgamma(a) + lgamma(b) - lgamma(a + b)
    if b < _LARGE:  # lgamma(a) - lgamma(a + b), of numbers that may be large and close
        gap = -(a + b - 0.5) * log1p(b / a) - b * (log(a) - 1.0) + _stirling(a) - _stirling(a + b)
        return lgamma(b) + gap
    rest = _stirling(a) + _stirling(b) - _stirling(a + b)
    return 0.5 * log(2 * pi / b) - (a - 0.5) * log1p(b / a) + b * (log(b / a) - log1p(b / a)) + rest


def _stirling(x: float) -> float:
    """lgamma(x) - ((x - 1/2) log x - x + log(2 pi)/2), for x >= 10."""
    z = 1.0 / (x * x)
    terms = (1 / 12, -1 / 360, 1 / 1260, -1 / 1680, 1 / 1188, -691 / 360360, 1 / 156)
    total = 0.0
    for term in reversed(terms):
        total = total * z + term
    return total / x


def _away(x: float) -> float:
    """Lentz's method must not divide by zero."""
    return _TINY if abs(x) < _TINY else x


def _falling(tail: Callable[[float], float], wanted: float) -> float:
    """The x >= 0 where a falling ``tail`` is ``wanted``, by doubling and bisection to neighbouring floats."""
    if wanted >= 1.0:
        return 0.0
    if wanted <= 0.0:
        return inf
    high = 1.0
    while tail(high) > wanted and high < 1e300:
        high *= 2.0
    low = 0.0 if high == 1.0 else high / 2.0
    for _ in range(200):
        middle = 0.5 * (low + high)
        if middle in (low, high):
            break
        low, high = (middle, high) if tail(middle) > wanted else (low, middle)
    return 0.5 * (low + high)
