"""Models as ONNX, opset 13, in double precision.

Input ``X`` (rows, inputs), NaN where a value is missing. Outputs: ``res`` (rows,), numbers, or texts for classes; of
these also ``probabilities`` (rows, classes) in the order of the metadata's ``labels``; of two-class models ``score``
(rows,). The metadata has ``inputs`` and ``labels`` as JSON. Source: onnx.proto of ONNX 1.8.
"""

import json
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from foedus.core.models.export.protobuf import Field, message
from foedus.core.models.export.scores import Scores, scores_of

_IR, _OPSET = 7, 13
_DOUBLE, _INT64, _STRING = 11, 7, 8
_INT = 2  # the kind of an attribute


@dataclass
class _Graph:
    nodes: list[bytes] = field(default_factory=list)
    constants: list[bytes] = field(default_factory=list)

    def constant(self, name: str, values: Any) -> str:
        self.constants.append(_tensor(name, values))
        return name

    def node(self, operator: str, inputs: list[str], output: str, **attributes: int) -> str:
        fields: list[Field] = [(1, name) for name in inputs]
        fields += [(2, output), (3, output), (4, operator)]
        fields += [(5, message([(1, key), (3, value), (20, _INT)])) for key, value in attributes.items()]
        self.nodes.append(message(fields))
        return output


def encode(model: Any) -> bytes:
    """Raises Invalid for a model without scores."""
    scores = scores_of(model)
    graph = _Graph()
    filled = graph.node(
        "Where", [graph.node("IsNaN", ["X"], "missing"), graph.constant("means", scores.means[None, :]), "X"], "filled"
    )
    gaps = graph.node("Sub", [filled, "means"], "gaps")
    outputs = _outputs(graph, _scored(graph, scores, gaps), scores)
    body = message(
        [
            *((1, node) for node in graph.nodes),
            (2, "foedus"),
            *((5, constant) for constant in graph.constants),
            (11, _value("X", _DOUBLE, ("rows", len(scores.inputs)))),
            *((12, output) for output in outputs),
        ]
    )
    return message(
        [
            (1, _IR),
            (2, "foedus"),
            (7, body),
            (8, message([(1, ""), (2, _OPSET)])),
            (14, message([(1, "inputs"), (2, json.dumps(scores.inputs))])),
            (14, message([(1, "labels"), (2, json.dumps(scores.labels))])),
        ]
    )


def _scored(graph: _Graph, scores: Scores, gaps: str) -> str:
    """The scores (rows, classes)."""
    linear = graph.node("MatMul", [gaps, graph.constant("slopes", scores.slopes.T)], "linear")
    total = graph.node("Add", [linear, graph.constant("offsets", scores.offsets[None, :])], "affine")
    if scores.bends is None:
        return total
    graph.constant("one", np.array([1], np.int64))
    parts = []
    for c, bends in enumerate(scores.bends):
        bent = graph.node("MatMul", [gaps, graph.constant(f"bends{c}", bends)], f"bent{c}")
        squares = graph.node("Mul", [bent, gaps], f"squares{c}")
        parts.append(graph.node("ReduceSum", [squares, "one"], f"part{c}", keepdims=1))
    return graph.node("Add", [total, graph.node("Concat", parts, "quadratic", axis=1)], "scores")


def _outputs(graph: _Graph, total: str, scores: Scores) -> list[bytes]:
    line = [_value("res", _DOUBLE, ("rows",))]
    graph.constant("second", np.array([1], np.int64))
    match scores.makes:
        case "number":
            graph.node("Squeeze", [total, "second"], "res")
        case "positive":
            flat = graph.node("Squeeze", [total, "second"], "flat")
            graph.node("Max", [flat, graph.constant("zero", np.zeros(1))], "res")
        case "sign":
            score = graph.node("Squeeze", [total, "second"], "score")
            above = graph.node("Greater", [score, graph.constant("zero", np.zeros(1))], "above")
            graph.node("Cast", [above], "res", to=_DOUBLE)
            line.append(_value("score", _DOUBLE, ("rows",)))
        case "class":
            graph.node("Softmax", [total], "probabilities", axis=1)
            best = graph.node("ArgMax", [total], "best", axis=1, keepdims=0)
            graph.node("Gather", [graph.constant("labels", list(scores.labels)), best], "res")
            line = [
                _value("res", _STRING, ("rows",)), _value("probabilities", _DOUBLE, ("rows", len(scores.labels))),
            ]  # fmt: skip
    return line


def _tensor(name: str, values: list[str] | NDArray[Any]) -> bytes:
    if isinstance(values, list):
        return message([(1, len(values)), (2, _STRING), *((6, text) for text in values), (8, name)])
    kind, dtype = (_INT64, "<i8") if values.dtype.kind == "i" else (_DOUBLE, "<f8")
    dimensions: list[Field] = [(1, size) for size in values.shape]
    return message([*dimensions, (2, kind), (8, name), (9, np.ascontiguousarray(values, dtype).tobytes())])


def _value(name: str, kind: int, shape: tuple[str | int, ...]) -> bytes:
    sizes = [message([(1, size) if isinstance(size, int) else (2, size)]) for size in shape]
    tensor = message([(1, kind), (2, message([(1, size) for size in sizes]))])
    return message([(1, name), (2, message([(1, tensor)]))])
