"""What holds for every registered model."""

import json
from dataclasses import fields

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from tests.core.models.tables import LENGTHS, SPECIES, learned, rows

from foedus.core import registry
from foedus.core.errors import Invalid, PlatformError
from foedus.core.models import Task, document, predicted
from foedus.core.models.model import GROUP
from foedus.core.models.power import transformed
from foedus.core.statistics import Plan, Statistics

_WIDTHS = [transformed(rows()[:, 3], power) for power in (0, 0.5, 1, 2)]
NAMES = (*LENGTHS, *(f"pt_petal_width^{power}" for power in (0, 0.5, 1, 2)), "sepal_width_b1", *SPECIES)
TABLE = np.column_stack([rows()[:, :4], *_WIDTHS, rows()[:, 6], rows()[:, 12:]])
NUMERIC = Task(LENGTHS[:3], (LENGTHS[3],))
TWO = Task(LENGTHS, (SPECIES[1],))
THREE = Task(LENGTHS, SPECIES)
ALONE = Task(LENGTHS)
TASKS = {
    **dict.fromkeys(("mlr", "ridge", "lasso", "elasticnet", "pcr", "plsq", "lsvr", "powerreg"), NUMERIC),
    **dict.fromkeys(("lda", "lsvm"), TWO),
    **dict.fromkeys(("mlda", "mqda", "bayes"), THREE),
    **dict.fromkeys(("covest", "ecod", "hba", "oospca"), ALONE),
}

every_model = pytest.mark.parametrize("name", registry.names(GROUP))
law = settings(deadline=None, max_examples=10)


def statistics(table, names=NAMES):
    plan = Plan(products=True, sketches=True, targets=SPECIES)
    return learned(table, names, binary=NAMES[8:], plan=plan)


WHOLE = statistics(TABLE)

PRECISE = {"elasticnet": {"tolerance": 1e-13}, "lasso": {"tolerance": 1e-13}}  # by default only five digits are settled


def fit(name, of=WHOLE, task=None):
    return registry.build(GROUP, name, PRECISE.get(name, {})).fit(of, task or TASKS[name])


def answers(model, table=TABLE):
    """What a model says of rows, as one table of texts and one of numbers."""
    frame = dict(zip(NAMES, table.T, strict=True))
    found = predicted(model, {name: frame[name] for name in model.inputs})
    numbers = {key: value for key, value in found.items() if value.dtype.kind == "f"}
    return numbers, {key: value for key, value in found.items() if key not in numbers}


def assert_same(one, other, rtol=1e-7):
    for here, there in zip(one, other, strict=True):
        assert here.keys() == there.keys()
    for key, value in one[0].items():
        assert_allclose(value, other[0][key], rtol=rtol, atol=rtol)
    for key, value in one[1].items():
        assert_array_equal(value, other[1][key])


def test_every_model_has_a_task_here():
    assert set(registry.names(GROUP)) <= TASKS.keys()


@every_model
def test_a_model_of_merged_statistics_is_that_of_pooled_rows(name):
    order = np.random.default_rng(1).permutation(len(TABLE))
    merged = Statistics.merge(*(statistics(TABLE[part]) for part in (order[:40], order[40:])))

    assert_same(answers(fit(name, merged)), answers(fit(name)))


@every_model
def test_the_order_of_attributes_changes_nothing(name):
    order = np.random.default_rng(2).permutation(len(NAMES))
    shuffled = statistics(TABLE[:, order], tuple(NAMES[k] for k in order))
    task = Task(TASKS[name].inputs[::-1], TASKS[name].targets)

    assert_same(answers(fit(name, shuffled, task)), answers(fit(name)))


@every_model
def test_a_model_read_again_says_the_same(name):
    model = fit(name)
    data = document.encode(name, model)

    algorithm, read = document.decode(data)

    assert (algorithm, type(read)) == (name, type(model))
    assert document.encode(name, read) == data
    assert_same(answers(read), answers(model), rtol=0)


@every_model
def test_a_missing_value_counts_as_the_mean(name):
    model = fit(name)
    frame = {column: [np.nan] for column in model.inputs[1:]}

    found = predicted(model, frame)

    expected = predicted(model, dict(zip(model.inputs, model.means[:, None], strict=True)))
    assert_array_equal(list(found.values()), list(expected.values()))


@every_model
@law
@given(st.data())
def test_a_damaged_document_is_invalid_or_a_model_that_answers(name, data):
    text = json.loads(document.encode(name, fit(name)))
    values = text["model"]
    key = data.draw(st.sampled_from(sorted(values)))
    junk = st.sampled_from([None, True, "x", -1, 1e300, [], {}, [[[[[1]]]]], [["a"]], [1, [2]], {"a": 1}, [1.5] * 3])
    values[key] = data.draw(junk)

    try:
        _, model = document.decode(json.dumps(text).encode())
    except Invalid:
        return
    with np.errstate(all="ignore"):
        answers(model)


@every_model
def test_a_document_without_one_of_its_fields_or_with_another_is_invalid(name):
    text = json.loads(document.encode(name, fit(name)))
    more = {**text, "model": {**text["model"], "__class__": "os.system"}}

    with pytest.raises(Invalid):
        document.decode(json.dumps(more).encode())
    with pytest.raises(Invalid):
        document.decode(json.dumps({**text, "model": {}}).encode())


@every_model
@pytest.mark.parametrize("rows", [0, 1, 2])
def test_too_few_rows_are_a_clear_error_or_a_model(name, rows):
    try:
        model = fit(name, statistics(TABLE[:rows]))
    except PlatformError as exc:
        complaint = str(exc)
    else:
        complaint = f"{len(fields(model))} fields"

    assert len(complaint) > 5


@every_model
@pytest.mark.parametrize(
    "task",
    [
        Task(()),
        Task((), (SPECIES[0],)),
        Task(("nobody",), SPECIES[:1]),
        Task(("sepal_width",) * 2),
        Task(LENGTHS, LENGTHS),
    ],
)
def test_a_task_that_makes_no_sense_is_refused(name, task):
    with pytest.raises(PlatformError):
        fit(name, task=task)


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"{}",
        b"[]",
        b"\x80\x04]",
        b'{"format":"foedus-model","version":1,"algorithm":"os","model":{}}',
        b'{"format":"foedus-model","version":true,"algorithm":"mlr","model":{}}',
        b'{"format":"foedus-model","version":2,"algorithm":"mlr","model":{}}',
        b'{"format":"foedus-model","version":1,"algorithm":"mlr","model":{},"more":1}',
        b"[" * 100_000,
        b'{"format":NaN}',
    ],
)
def test_what_is_no_model_is_invalid(text):
    with pytest.raises(Invalid):
        document.decode(text)
