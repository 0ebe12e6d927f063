"""A ModelInfo: what a model was built of, and what is known of its coefficients."""

from dataclasses import fields
from typing import Any

import numpy as np

from foedus.faces.symetryml.rendering import milliseconds
from foedus.records.statistics.models import StatisticsModel
from foedus.services.statistics.keeping import Columns

# How the dialect's table of coefficients is headed, and what models call its columns.
_TABLE = {
    "coefficient": "coefficients", "std.error": "errors", "scores": "scores", "p.values": "p_values",
    "ci.low": "low", "ci.high": "high",
}  # fmt: skip


def model_info(row: StatisticsModel, columns: Columns, model: Any) -> dict[str, Any]:
    index = {name: place for place, (name, _) in enumerate(columns)}
    letters = dict(columns)
    outputs = list(model.predict(np.array([model.means]))) if hasattr(model, "means") else ["res"]
    return {
        "modelId": row.name,
        "modelType": row.algorithm,
        "modelBuilt": 1,
        "buildTime": round(row.build_s * 1000, 3),
        "attributeNames": row.inputs,
        "attributeIndexes": [index.get(name, -1) for name in row.inputs],
        "attributeTypes": [letters.get(name, "C") for name in row.inputs],
        "targetNames": row.targets,
        "targetindexes": [index.get(name, -1) for name in row.targets],
        "predictInfo": outputs,
        "scoreInfo": outputs,
        "info": _numbers(model),
        "creationDate": milliseconds(row.created_at),
        "extra": _extra(row, model),
    }


def _numbers(model: Any) -> dict[str, Any]:
    """All plain numbers and lines of numbers of a model, by name."""
    found: dict[str, Any] = {}
    for field in fields(model):
        value = getattr(model, field.name)
        if isinstance(value, np.ndarray) and value.ndim == 1 and value.dtype.kind in "fiu":
            found[field.name] = value.tolist()
        elif isinstance(value, int | float | str):
            found[field.name] = value
    return found


def _extra(row: StatisticsModel, model: Any) -> dict[str, Any]:
    """Of a linear model the table of its coefficients."""
    names = {head: name for head, name in _TABLE.items() if hasattr(model, name)}
    if "coefficient" not in names:
        return {}
    lines = zip(*(getattr(model, name).tolist() for name in names.values()), strict=True)
    data = [[attribute, *(repr(value) for value in line)] for attribute, line in zip(row.inputs, lines, strict=True)]
    table = {
        "attributeNames": ["attribute", *names], "attributeTypes": ["S", *("C" for _ in names)], "data": data,
    }  # fmt: skip
    mean = float(model.intercept + model.coefficients @ model.means)  # a regression goes through the means
    return {**table, **{f"mean_{target}": mean for target in row.targets}}
