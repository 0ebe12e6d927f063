"""A ModelInfo: what a model was built of, and what is known of its coefficients."""

from collections.abc import Iterator, Sequence
from dataclasses import fields
from itertools import islice
from typing import Any

import numpy as np

from foedus.core.companions.answers import OUTPUTS
from foedus.core.models.sequences import JOINT, Chain
from foedus.core.models.survival import Curve, Survival
from foedus.core.models.watching import Watched
from foedus.faces.symetryml.rendering import milliseconds
from foedus.records.statistics.models import StatisticsModel
from foedus.services.statistics.keeping import Columns

MAX_TRANSITIONS = 512  # of a chain that are described
_CURVE = ("group", "times", "survival", "low", "high", "at_risk")
_TEXTS = ("attribute", "context", "group", "state")
# How the dialect's table of coefficients is headed, and what models call its columns.
_TABLE = {
    "coefficient": "coefficients", "std.error": "errors", "scores": "scores", "p.values": "p_values",
    "ci.low": "low", "ci.high": "high",
}  # fmt: skip


def model_info(row: StatisticsModel, columns: Columns, model: Any) -> dict[str, Any]:
    index = {name: place for place, (name, _) in enumerate(columns)}
    letters = dict(columns)
    outputs = _outputs(model)
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


def _outputs(model: Any) -> list[str]:
    if isinstance(model, Watched):
        return [model.key, "evt_is_anomaly"]
    if type(model) in OUTPUTS:
        return list(OUTPUTS[type(model)])
    return list(model.predict(np.array([model.means])))


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
    if isinstance(model, Survival):
        return _frame(_CURVE, [line for curve in model.curves for line in _points(curve)])
    if isinstance(model, Chain):
        return _frame(("context", "state", "count", "p"), list(islice(_transitions(model), MAX_TRANSITIONS)))
    names = {head: name for head, name in _TABLE.items() if hasattr(model, name)}
    if "coefficient" not in names:
        return {}
    lines = zip(*(getattr(model, name).tolist() for name in names.values()), strict=True)
    data = [[attribute, *(repr(value) for value in line)] for attribute, line in zip(row.inputs, lines, strict=True)]
    table = _frame(("attribute", *names), data)
    mean = float(model.intercept + model.coefficients @ model.means)  # a regression goes through the means
    return {**table, **{f"mean_{target}": mean for target in row.targets}}


def _transitions(chain: Chain) -> Iterator[list[Any]]:
    for context, row in chain.counts.items():
        shares = chain.probabilities([state for state in context.split(JOINT) if state])
        yield from ([context.replace(JOINT, " "), state, repr(n), repr(shares[state])] for state, n in row.items())


def _points(curve: Curve) -> list[list[Any]]:
    columns = zip(*(getattr(curve, name).tolist() for name in _CURVE[1:]), strict=True)
    return [[curve.group, *map(repr, point)] for point in columns]


def _frame(names: Sequence[str], data: list[list[Any]]) -> dict[str, Any]:
    return {
        "attributeNames": list(names),
        "attributeTypes": ["S" if name in _TEXTS else "C" for name in names],
        "data": data,
    }
