"""Models as PMML 4.4: a RegressionModel, whose terms may be powers and products, so that Bayes and quadratics fit too.

Classes are decided by softmax. A missing value becomes the mean of its column. Source: dmg.org, PMML 4.4.
"""

from typing import Any
from xml.etree import ElementTree as ET  # writes, and never reads

import numpy as np

from foedus.core.errors import Invalid
from foedus.core.models.export.scores import Scores, scores_of
from foedus.core.statistics.moments import Floats

NAMESPACE = "http://www.dmg.org/PMML-4_4"


def encode(model: Any) -> bytes:
    """Raises Invalid for a model without scores, and for names that XML cannot hold."""
    scores = scores_of(model)
    for name in (*scores.inputs, scores.target, *scores.labels):
        if not name.isprintable() or any(0xD800 <= ord(c) <= 0xDFFF or ord(c) in (0xFFFE, 0xFFFF) for c in name):
            raise Invalid(f"the name {name[:40]!r} has characters that XML cannot hold")
    root = ET.Element("PMML", {"xmlns": NAMESPACE, "version": "4.4"})
    header = ET.SubElement(root, "Header")
    ET.SubElement(header, "Application", {"name": "foedus"})
    _dictionary(root, scores)
    _regression(root, scores)
    return bytes(ET.tostring(root, encoding="utf-8", xml_declaration=True))


def _dictionary(root: ET.Element, scores: Scores) -> None:
    dictionary = ET.SubElement(root, "DataDictionary", {"numberOfFields": str(len(scores.inputs) + 1)})
    for name in scores.inputs:
        ET.SubElement(dictionary, "DataField", {"name": name, "optype": "continuous", "dataType": "double"})
    classes = _labels(scores)
    kind = (
        {"optype": "categorical", "dataType": "string"} if classes else {"optype": "continuous", "dataType": "double"}
    )
    target = ET.SubElement(dictionary, "DataField", {"name": scores.target, **kind})
    for label in classes:
        ET.SubElement(target, "Value", {"value": label})


def _regression(root: ET.Element, scores: Scores) -> None:
    classes = _labels(scores)
    model = ET.SubElement(
        root,
        "RegressionModel",
        {
            "functionName": "classification" if classes else "regression",
            "normalizationMethod": "softmax" if classes else "none",
        },
    )
    schema = ET.SubElement(model, "MiningSchema")
    for name, mean in zip(scores.inputs, scores.means.tolist(), strict=True):
        replaced = {"missingValueReplacement": repr(mean), "missingValueTreatment": "asMean"}
        ET.SubElement(schema, "MiningField", {"name": name, "usageType": "active", **replaced})
    ET.SubElement(schema, "MiningField", {"name": scores.target, "usageType": "target"})
    _results(model, scores)
    if scores.makes == "positive":
        targets = ET.SubElement(model, "Targets")
        ET.SubElement(targets, "Target", {"field": scores.target, "optype": "continuous", "min": "0"})
    offsets, slopes = scores.raw()
    if scores.makes == "sign":  # the score against none: softmax of (0, score)
        offsets, slopes = np.append(0.0, offsets), np.vstack([np.zeros_like(slopes), slopes])
    for c, (offset, slope) in enumerate(zip(offsets.tolist(), slopes, strict=True)):
        label = {"targetCategory": classes[c]} if classes else {}
        table = ET.SubElement(model, "RegressionTable", {"intercept": repr(offset), **label})
        _terms(table, scores.inputs, slope, None if scores.bends is None else scores.bends[c])


def _results(model: ET.Element, scores: Scores) -> None:
    output = ET.SubElement(model, "Output")
    ET.SubElement(output, "OutputField", {"name": "res", "feature": "predictedValue", "dataType": _type(scores)})
    for label in scores.labels:
        field = {"name": f"probability({label})", "feature": "probability", "value": label, "dataType": "double"}
        ET.SubElement(output, "OutputField", field)


def _type(scores: Scores) -> str:
    return "string" if _labels(scores) else "double"


def _labels(scores: Scores) -> tuple[str, ...]:
    return ("0", "1") if scores.makes == "sign" else scores.labels


def _terms(table: ET.Element, inputs: tuple[str, ...], slopes: Floats, bends: Floats | None) -> None:
    """Numeric predictors first, of power 1 and 2, then products: the order that the schema wants."""
    for name, slope in zip(inputs, slopes.tolist(), strict=True):
        ET.SubElement(table, "NumericPredictor", {"name": name, "exponent": "1", "coefficient": repr(slope)})
    if bends is None:
        return
    for name, bend in zip(inputs, np.diagonal(bends).tolist(), strict=True):
        if bend:
            ET.SubElement(table, "NumericPredictor", {"name": name, "exponent": "2", "coefficient": repr(bend)})
    for i, j in zip(*np.nonzero(np.triu(bends + bends.T, 1)), strict=True):
        term = ET.SubElement(table, "PredictorTerm", {"coefficient": repr(float(bends[i, j] + bends[j, i]))})
        ET.SubElement(term, "FieldRef", {"field": inputs[i]})
        ET.SubElement(term, "FieldRef", {"field": inputs[j]})
