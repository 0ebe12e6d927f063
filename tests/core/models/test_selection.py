"""Choice of inputs and of models."""

import numpy as np
import pytest
from numpy.testing import assert_allclose
from tests.core.models.tables import LENGTHS, SPECIES, cancer, diabetes, learned, rows

from foedus.core.errors import Invalid
from foedus.core.models import Task
from foedus.core.models.selection import InputSelection, Jury, auto_select

RNG = np.random.default_rng(4)
NOISE = RNG.normal(size=(600, 6))
TABLE = np.column_stack([NOISE, NOISE[:, 1] * 2 - NOISE[:, 4] * 3 + RNG.normal(size=600) * 0.1])
NAMES = (*"abcdef", "y")
STATISTICS, TASK = learned(TABLE[:400], NAMES), Task(NAMES[:-1], ("y",))
REST = dict(zip(NAMES, TABLE[400:].T, strict=True))
JURY = Jury(REST, ("y",), "rmse")


@pytest.mark.parametrize("search", ["fw_bw", "simple", "brute", "iteration", "genetic", "bayesian"])
def test_every_search_finds_the_inputs_that_matter(search):
    choice = InputSelection(search=search).select(STATISTICS, "mlr", {}, TASK, JURY)

    assert {"b", "e"} <= set(choice.model.inputs)
    assert -choice.score < 0.12
    assert choice.tried <= 2**6


def test_the_same_seed_finds_the_same():
    first, second = (
        InputSelection(search="genetic", seed=3).select(STATISTICS, "mlr", {}, TASK, JURY) for _ in range(2)
    )

    assert (first.model.inputs, first.score) == (second.model.inputs, second.score)


def test_it_stops_when_told():
    asked = iter([False] * 5 + [True] * 10_000)

    choice = InputSelection(search="brute").select(STATISTICS, "mlr", {}, TASK, JURY, lambda: next(asked))

    assert choice.tried == 5


def test_brute_force_has_a_limit():
    with pytest.raises(Invalid, match="use another search"):
        InputSelection(search="brute").select(
            STATISTICS, "mlr", {}, Task(tuple(f"x{k}" for k in range(18)), ("y",)), JURY
        )


def test_no_inputs_that_give_a_model_is_an_error():
    with pytest.raises(Invalid, match="gives a model"):
        InputSelection(search="simple").select(STATISTICS, "lsvm", {}, TASK, Jury(REST, ("y",), "auc"))


def test_a_regression_is_chosen_that_no_other_beats():
    table, names = diabetes()
    rest = dict(zip(names, table[300:].T, strict=True))

    choice = auto_select(learned(table[:300], names), "regression", Task(names[:-1], names[-1:]), rest, grid="small")

    assert choice.tried == 14
    assert choice.algorithm in ("mlr", "lsvr", "elasticnet")
    assert 45 < -choice.score < 60


def test_classes_are_chosen_for_two_and_for_several():
    table, names = cancer()
    odd = np.arange(len(table)) % 2 == 1
    rest = dict(zip(names, table[odd].T, strict=True))
    two = auto_select(
        learned(table[~odd], names, binary=("benign",)), "binary_classification", Task(names[:-1], ("benign",)), rest
    )
    flowers = np.column_stack([rows()[:, :4], rows()[:, 12:]])
    frame = dict(zip((*LENGTHS, *SPECIES), flowers[1::2].T, strict=True))
    learned_flowers = learned(flowers[::2], (*LENGTHS, *SPECIES), binary=SPECIES)
    several = auto_select(learned_flowers, "multiclass_classifier", Task(LENGTHS, SPECIES), frame)

    assert two.score > 0.97
    assert several.score > 0.95


@pytest.mark.parametrize("criterion", ["auc", "recall", "precision", "mcc"])
def test_every_criterion_of_two_classes_judges(criterion):
    table, names = cancer()
    statistics = learned(table, names, binary=("benign",))
    frame = dict(zip(names, table.T, strict=True))

    choice = auto_select(statistics, "binary_classification", Task(names[:-1], ("benign",)), frame, criterion=criterion)

    assert 0.7 < choice.score <= 1.0


def test_unknown_tasks_and_criteria_are_refused():
    with pytest.raises(Invalid, match="no task"):
        auto_select(STATISTICS, "magic", TASK, REST)
    with pytest.raises(Invalid, match="criteria"):
        Jury(REST, ("y",), "luck")
    with pytest.raises(Invalid, match="lack the targets"):
        Jury({}, ("y",), "rmse")
    assert_allclose(JURY.judged(InputSelection().select(STATISTICS, "mlr", {}, TASK, JURY).model), -0.1, atol=0.02)
