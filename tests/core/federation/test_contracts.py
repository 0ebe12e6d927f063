from contextlib import suppress
from math import sqrt

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from foedus.core.errors import Invalid
from foedus.core.federation.contracts import AllOf, AnyOf, Comparison, Contract
from foedus.core.federation.measures import MEASURES, measured
from foedus.core.statistics import Batch, Codes, Column, Kind, Statistics

AGE = np.array([20.0, 30.0, 40.0, 50.0, np.nan])
BMI = np.array([20.0, 22.0, 27.0, 30.0, 31.0])
SMOKER = np.array([0.0, 1.0, 0.0, 1.0, 1.0])
SICK = np.array([0.0, 1.0, 0.0, 0.0, 1.0])
STATISTICS = Statistics.of(
    Batch(
        [
            Column("age", Kind.CONTINUOUS, AGE),
            Column("body mass, index", Kind.CONTINUOUS, BMI),
            Column("smoker", Kind.BINARY, SMOKER),
            Column("sick", Kind.BINARY, SICK),
            Codes("sex", np.array([0, 1, 0, 1, 1]), ("f", "m")),
        ]
    )
)


def holds(*lines):
    contract = Contract.parse(lines)
    contract.check(STATISTICS.schema)
    return not contract.breaches(STATISTICS)


@pytest.mark.parametrize(
    ("function", "names", "value"),
    [
        ("COUNT", ("age",), 4),
        ("MEAN", ("age",), 35),
        ("VARIANCE", ("age",), 125),
        ("STDDEV", ("age",), sqrt(125)),
        ("VARIANCE_UNBIASED", ("age",), 500 / 3),
        ("STDDEV_UNBIASED", ("age",), sqrt(500 / 3)),
        ("MEAN", ("smoker",), 0.6),
        ("COUNT", ("sex$m",), 5),
        ("COVAR", ("age", "body mass, index"), float(np.mean((AGE[:4] - 35) * (BMI[:4] - 24.75)))),
        ("LINCORR", ("age", "body mass, index"), float(np.corrcoef(AGE[:4], BMI[:4])[0, 1])),
        ("COND_COUNT", ("age", "smoker"), 2),
        ("COND_MEAN", ("age", "smoker"), 40),
        ("COND_VARIANCE", ("age", "smoker"), 100),
        ("COND_STDDEV", ("age", "smoker"), 10),
        ("COND_VARIANCE_UNBIASED", ("age", "smoker"), 200),
        ("COND_STDDEV_UNBIASED", ("age", "smoker"), sqrt(200)),
        ("COMPL_COND_VARIANCE", ("age", "smoker"), 100),
        ("COMPL_COND_MEAN", ("age", "smoker"), 30),
        ("COMPL_COND_STDDEV_UNBIASED", ("age", "smoker"), sqrt(200)),
        ("MEAN_WHEN_TRUE", ("body mass, index", "sick"), 26.5),
        ("MEAN_WHEN_FALSE", ("body mass, index", "sick"), 77 / 3),
        ("PCT_OF_TRUE", ("sick", "smoker"), 200 / 3),
        ("PCT_OF_FALSE", ("sick", "smoker"), 0),
        ("NUM_OCCURENCE_WHEN_TRUE", ("sick", "smoker"), 2),
        ("NUM_OCCURENCE_WHEN_FALSE", ("sick", "smoker"), 0),
        ("COND_MEAN", ("age", "sex$m"), 40),
    ],
)
def test_a_measure_is_what_the_rows_say(function, names, value):
    assert measured(function, names, STATISTICS) == pytest.approx(value, rel=1e-12)


@pytest.mark.parametrize("function", MEASURES)
def test_a_measure_of_nothing_or_of_what_is_not_there_is_undefined_or_zero(function):
    names = ("a", "b")[: MEASURES[function].arguments]
    nothing = Statistics.of(Batch([Column(name, Kind.BINARY, np.array([np.nan])) for name in names]))

    assert np.isnan(measured(function, names, STATISTICS))
    assert np.isnan(measured(function, names, nothing)) or measured(function, names, nothing) == 0


@pytest.mark.parametrize(
    ("rule", "truth"),
    [
        ("COUNT(age) > 3", True),
        ("COUNT(age) > 4", False),
        ("COUNT(age) >= 4", True),
        ("COUNT(age) <= 4", True),
        ("COUNT(age) < 4", False),
        ("COUNT(age) == 4", True),
        ("COUNT(age) != 4", False),
        ("count(age)>=4.0e0", True),
        ("MEAN(age) > -1", True),
        ('MEAN("body mass, index") > 25', True),
        ("COUNT(age) > 4 OR COUNT(age) > 3", True),
        ("COUNT(age) > 3 and COUNT(age) > 4", False),
        ("COUNT(age) > 3 OR COUNT(age) > 3 AND COUNT(age) > 4", True),
        ("(COUNT(age) > 3 OR COUNT(age) > 3) AND COUNT(age) > 4", False),
        ("((COUNT(age) > 3)) # as agreed", True),
        ("  # nothing but a comment", True),
        ("", True),
    ],
)
def test_a_rule_holds_or_not(rule, truth):
    assert holds(rule) is truth


def test_and_binds_tighter_than_or():
    condition = Contract.parse(["COUNT(a) > 1 OR COUNT(b) > 1 AND COUNT(c) > 1"]).rules[0].condition

    assert isinstance(condition, AnyOf)
    assert isinstance(condition.parts[0], Comparison)
    assert isinstance(condition.parts[1], AllOf)


def test_every_line_must_hold_and_those_that_do_not_are_told_with_what_was_measured():
    contract = Contract.parse(["COUNT(age) > 3", "# agreed in spring", "MEAN(age) < 30 OR COUNT(age) > 9  # old"])

    (breach,) = contract.breaches(STATISTICS)

    assert breach.rule.line == 3
    assert "line 3: 'MEAN(age) < 30 OR COUNT(age) > 9'" in str(breach)
    assert "MEAN(age) is 35; COUNT(age) is 4" in str(breach)


def test_an_undefined_measure_keeps_no_promise_not_even_that_of_being_different():
    contract = Contract.parse(["MEAN(gone) != 5"])

    assert contract.breaches(STATISTICS)


@pytest.mark.parametrize(
    ("rule", "position", "complaint"),
    [
        ("COUNT age > 3", 7, "parenthesis"),
        ("COUNT(age > 3", 14, "comma or a closing"),
        ("COUNT() > 3", 7, "name"),
        ("COUNT(age) 3", 12, "comparison"),
        ("COUNT(age) => 3", 12, "comparison.*not '='"),
        ("COUNT(age) > -Infinity", 14, "number.*not '-'"),
        ("COUNT(age) > x", 14, "number"),
        ("COUNT(age) > 1e999", 14, "too large"),
        ("COUNT(age) > 3 XOR COUNT(age) > 3", 16, "AND, OR"),
        ("COUNT(age) > 3 AND", 19, "function"),
        ("SUM(age) > 3", 1, "no function 'SUM'"),
        ("MEAN(age, smoker) > 3", 1, "one attribute, not 2"),
        ("COVAR(age) > 3", 1, "2 attributes, not 1"),
        ("(COUNT(age) > 3", 16, "closing parenthesis"),
        ('COUNT("age) > 3', 7, "name"),
        ("(" * 25 + "COUNT(age) > 3" + ")" * 25, 22, "deep"),
        ("COUNT(age) > 3 " + " " * 2000, 2000, "characters"),
        ("COUNT(agee) > 3", 7, "no attribute 'agee'"),
        ("COND_MEAN(age, body) > 3", 16, "no attribute 'body'"),
        ("COND_MEAN(smoker, age) > 3", 19, "binary"),
        ("PCT_OF_TRUE(age, smoker) > 3", 13, "binary"),
    ],
)
def test_a_mistake_is_told_with_its_line_and_position(rule, position, complaint):
    with pytest.raises(Invalid, match=complaint) as caught:
        Contract.parse(["# first line", rule]).check(STATISTICS.schema)
    assert (caught.value.context["line"], caught.value.context["position"]) == (2, position)


def test_a_contract_has_a_largest_size():
    with pytest.raises(Invalid, match="lines"):
        Contract.parse(["COUNT(age) > 1"] * 201)


def test_one_text_with_line_breaks_is_as_many_rules():
    assert Contract.parse(["COUNT(age) > 1\nCOUNT(age) > 2"]).lines == ("COUNT(age) > 1", "COUNT(age) > 2")


@given(st.text(max_size=40), st.integers(-100, 100))
def test_a_quoted_name_may_be_any_text(name, bound):
    quoted = name.replace("\\", "\\\\").replace('"', '\\"')
    line = f'COUNT("{quoted}") > {bound}'
    if not name or len(line.splitlines()) != 1:
        return

    assert Contract.parse([line]).rules[0].comparisons()[0].names == (name,)


@given(st.text(alphabet='COUNTMEAN(age,)<>=!&"\\ #0123456789.eAND', max_size=60))
def test_no_text_does_worse_than_being_refused(text):
    with suppress(Invalid):
        Contract.parse([text])
