"""Exports, each read by somebody else: ONNX Runtime, SQLite, and an evaluator of PMML written from its specification.

No reader of PMML is both light and fit to be installed beside our tests, hence the evaluator here.
"""

import json
import sqlite3
from xml.etree import ElementTree as ET

import numpy as np
import onnxruntime
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from tests.core.models.tables import HALVES, LENGTHS, SPECIES, iris, learned, rows

from foedus.core.errors import Invalid
from foedus.core.models import Task, predicted
from foedus.core.models.anomalies import ComponentAnomaly
from foedus.core.models.bayes import NaiveBayes
from foedus.core.models.discriminant import LinearDiscriminant
from foedus.core.models.export import code, onnx, pmml
from foedus.core.models.latent import PartialLeastSquares
from foedus.core.models.linear import LinearRegression
from foedus.core.models.logistic import LogisticRegression, Posterior
from foedus.core.models.multiclass import LinearDiscriminants, QuadraticDiscriminants
from foedus.core.models.penalized import Lasso
from foedus.core.models.proximal import SupportVectorMachine

X = rows()
WIDTH = Task(LENGTHS[:3], LENGTHS[3:])
MODELS = {
    "linear": LinearRegression().fit(iris(), WIDTH),
    "clipped": LinearRegression(clip_negative=True).fit(iris(), WIDTH),
    "lasso": Lasso().fit(iris(), WIDTH),
    "latent": PartialLeastSquares(q=2).fit(iris(), WIDTH),
    "discriminant": LinearDiscriminant().fit(iris(), Task(LENGTHS, SPECIES[1:2])),
    "plane": SupportVectorMachine().fit(iris(), Task(LENGTHS, SPECIES[1:2])),
    "classes": LinearDiscriminants().fit(iris(), Task(LENGTHS, SPECIES)),
    "quadratic": QuadraticDiscriminants().fit(iris(), Task(LENGTHS, SPECIES)),
    "bayes": NaiveBayes().fit(iris(), Task((*LENGTHS, *HALVES[:2]), SPECIES)),
    "logistic": LogisticRegression().fit(Posterior.empty(LENGTHS, "virginica").learn(X[:, :4], X[:, 14])),
}
every_model = pytest.mark.parametrize("name", MODELS)


def table(model):
    """The rows of the model's inputs, some with missing values."""
    values = X[:, : len(model.inputs)].copy()
    values[::17, 0] = np.nan
    return values


def ours(model):
    return predicted(model, dict(zip(model.inputs, table(model).T, strict=True)))


@every_model
def test_onnx_runtime_says_the_same(name):
    model = MODELS[name]
    session = onnxruntime.InferenceSession(onnx.encode(model), providers=["CPUExecutionProvider"])

    theirs = dict(zip((o.name for o in session.get_outputs()), session.run(None, {"X": table(model)}), strict=True))

    mine, metadata = ours(model), session.get_modelmeta().custom_metadata_map
    assert json.loads(metadata["inputs"]) == list(model.inputs)
    if "probabilities" not in theirs:
        assert_allclose(theirs["res"], mine["res"], rtol=1e-10, atol=1e-12)
        return
    labels = json.loads(metadata["labels"])
    if name == "logistic":
        assert_allclose(theirs["probabilities"][:, 1], mine["Prob"], rtol=1e-9, atol=1e-12)
    else:
        assert_array_equal(theirs["res"].astype(str), mine["res"])
        expected = np.column_stack([mine[label] for label in labels])
        assert_allclose(theirs["probabilities"], expected, rtol=1e-8, atol=1e-12)


def evaluated(document, frame):
    """Scores by category, (rows,) each, of a RegressionModel."""
    names = {"p": pmml.NAMESPACE}
    model = ET.fromstring(document).find("p:RegressionModel", names)
    fields = model.findall("p:MiningSchema/p:MiningField", names)
    replaced = {
        f.get("name"): float(f.get("missingValueReplacement")) for f in fields if f.get("usageType") == "active"
    }
    values = {name: np.where(np.isnan(frame[name]), mean, frame[name]) for name, mean in replaced.items()}
    found = {}
    for entry in model.findall("p:RegressionTable", names):
        total = float(entry.get("intercept"))
        for term in entry.findall("p:NumericPredictor", names):
            total = total + float(term.get("coefficient")) * values[term.get("name")] ** int(term.get("exponent"))
        for term in entry.findall("p:PredictorTerm", names):
            factors = [values[ref.get("field")] for ref in term.findall("p:FieldRef", names)]
            total = total + float(term.get("coefficient")) * np.prod(factors, axis=0)
        found[entry.get("targetCategory")] = total * np.ones(len(frame[next(iter(frame))]))
    least = model.find("p:Targets/p:Target", names)
    return {k: np.maximum(v, float(least.get("min"))) for k, v in found.items()} if least is not None else found


@every_model
def test_pmml_evaluated_by_its_specification_says_the_same(name):
    model = MODELS[name]

    found = evaluated(pmml.encode(model), dict(zip(model.inputs, table(model).T, strict=True)))

    mine = ours(model)
    if list(found) == [None]:
        assert_allclose(found[None], mine["res"], rtol=1e-9, atol=1e-10)
        return
    scores = np.column_stack(list(found.values()))
    weights = np.exp(scores - scores.max(1, keepdims=True))
    best = np.array(list(found))[scores.argmax(1)]
    assert_array_equal(best, mine["res"] if mine["res"].dtype.kind == "U" else mine["res"].astype(int).astype(str))
    if "Prob" in mine and name != "logistic":
        assert_allclose((weights / weights.sum(1, keepdims=True)).max(1), mine["Prob"], rtol=1e-7)


@pytest.mark.parametrize("name", ["linear", "clipped", "discriminant", "plane"])
def test_sqlite_says_the_same(name):
    model = MODELS[name]
    database = sqlite3.connect(":memory:")
    columns = ", ".join(f'"{column}" REAL' for column in model.inputs)
    database.execute(f"CREATE TABLE flowers ({columns})")
    cells = [[None if np.isnan(cell) else cell for cell in row] for row in table(model).tolist()]
    database.executemany(f"INSERT INTO flowers VALUES ({', '.join('?' * len(model.inputs))})", cells)

    found = database.execute(f"SELECT {code.encode(model, 'sql')} FROM flowers").fetchall()

    database.close()
    assert_allclose([row[0] for row in found], ours(model)["res"], rtol=1e-9, atol=1e-10)


def test_java_has_the_numbers_and_no_name_ends_its_comment():
    table = X[:, :2]
    names = ("*/ System.exit(1); /*", "\\u002a/ int y;")

    model = LinearRegression().fit(learned(table, names), Task(names[:1], names[1:]))

    text = code.encode(model, "java")

    assert repr(model.coefficients.tolist()[0]) in text
    assert text.count("*/") == 1
    assert "\\u" not in text


@pytest.mark.parametrize("encode", [onnx.encode, pmml.encode, lambda model: code.encode(model, "sql")])
def test_models_without_such_a_form_are_refused(encode):
    with pytest.raises(Invalid, match="no export but foedus's own"):
        encode(ComponentAnomaly().fit(iris(), Task(LENGTHS)))


def test_source_of_several_classes_is_refused():
    with pytest.raises(Invalid, match="ONNX or PMML"):
        code.encode(MODELS["classes"], "java")
