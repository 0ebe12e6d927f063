"""Models as FMA knows them: one array, a list of layers, or arrays by name, in nested lists of JSON."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np

from foedus.core.arrays import Tensor
from foedus.core.errors import Invalid

Weights: TypeAlias = "Tensor | list[Tensor] | dict[str, Tensor]"
# What scikit-learn's estimators keep what they learnt in: linear ones, and networks, which have lists of both.
_ESTIMATORS = (("coef_", "intercept_"), ("coefs_", "intercepts_"))


def weights_of(model: Any) -> Weights:
    """The numbers of an array, of a mapping or a list of arrays, or of a fitted estimator of scikit-learn.

    Raises: Invalid for anything else, and for numbers that are not finite.
    """
    if isinstance(model, Mapping):
        return {str(name): _numbers(f"array {name!r}", part) for name, part in model.items()}
    if isinstance(model, Sequence) and not isinstance(model, str | bytes):
        return [_numbers(f"layer {i}", part) for i, part in enumerate(model)]
    if isinstance(model, np.ndarray | np.number | int | float):
        return _numbers("the array", model)
    return [_numbers(name, part) for name, part in _learnt(model)]


def arranged(found: Weights, like: Any) -> Weights:
    """Weights that came from a server in the form, the shapes and the dtypes of the model ``like``. Raises Invalid."""
    wanted = weights_of(like)
    if isinstance(wanted, dict):
        if not isinstance(found, dict) or found.keys() != wanted.keys():
            raise Invalid(f"these weights are {_described(found)}, and not {_described(wanted)}")
        return {name: _shaped(found[name], part) for name, part in wanted.items()}
    if isinstance(wanted, list):
        parts = _layers(found)  # layers of one shape look like one array
        if len(parts) != len(wanted):
            raise Invalid(f"these weights are {_described(found)}, and not {_described(wanted)}")
        return [_shaped(part, like_part) for part, like_part in zip(parts, wanted, strict=True)]
    if isinstance(found, dict | list):
        raise Invalid(f"these weights are {_described(found)}, and not {_described(wanted)}")
    return _shaped(found, wanted)


def fill(estimator: Any, weights: Weights) -> None:
    """Put weights into a fitted estimator of scikit-learn. Raises Invalid for other shapes."""
    parts = iter(arranged(weights, estimator))
    for names in _ESTIMATORS:
        if not hasattr(estimator, names[0]):
            continue
        for name in names:
            old = getattr(estimator, name)
            setattr(estimator, name, [next(parts) for _ in old] if isinstance(old, list) else next(parts))


def schema_of(model: Any) -> dict[str, Any]:
    """The JSON Schema (2020-12) of updates that have the form and the shapes of this model."""
    weights = weights_of(model)
    if isinstance(weights, dict):
        return {
            "type": "object",
            "required": list(weights),
            "properties": {name: _schema(part.shape) for name, part in weights.items()},
            "additionalProperties": False,
        }
    if isinstance(weights, list):
        return {
            "type": "array",
            "minItems": len(weights),
            "prefixItems": [_schema(part.shape) for part in weights],
            "items": False,
        }
    return _schema(weights.shape)


def listed(weights: Weights) -> Any:
    """Weights as lists of numbers, ready for JSON."""
    if isinstance(weights, dict):
        return {name: part.tolist() for name, part in weights.items()}
    return [part.tolist() for part in weights] if isinstance(weights, list) else weights.tolist()


def named(weights: Weights) -> dict[str, Tensor]:
    """Weights as tensors by the names that they have in FMA's safetensors."""
    if isinstance(weights, dict):
        return weights
    return {str(i): part for i, part in enumerate(weights)} if isinstance(weights, list) else {"weights": weights}


def _schema(shape: tuple[int, ...]) -> dict[str, Any]:
    if not shape:
        return {"type": "number"}
    return {"type": "array", "minItems": shape[0], "maxItems": shape[0], "items": _schema(shape[1:])}


def _learnt(estimator: Any) -> Iterator[tuple[str, Any]]:
    for names in _ESTIMATORS:
        if all(hasattr(estimator, name) for name in names):
            for name in names:
                value = getattr(estimator, name)
                parts = value if isinstance(value, list) else [value]
                yield from ((name, part) for part in parts)
            return
    raise Invalid(
        f"{type(estimator).__name__} is neither arrays nor an estimator with coef_ and intercept_;"
        " an estimator has them once it was fitted"
    )


def _numbers(what: str, value: Any) -> Tensor:
    array = np.asarray(value)
    if array.dtype.kind not in "fiu" or array.size == 0:
        raise Invalid(f"{what} holds {array.dtype} of shape {array.shape}, and not numbers to be averaged")
    if not np.isfinite(array).all():
        raise Invalid(f"{what} holds numbers that are not finite")
    return array


def _layers(weights: Weights) -> list[Any]:
    if isinstance(weights, dict) or (isinstance(weights, np.ndarray) and not weights.ndim):
        return []
    return list(weights)


def _shaped(found: Any, like: Tensor) -> Tensor:
    array = np.asarray(found)
    if array.shape != like.shape:
        raise Invalid(f"an array of shape {array.shape} came where {like.shape} is expected")
    return array.astype(like.dtype)


def _described(weights: Weights) -> str:
    if isinstance(weights, dict):
        return f"arrays named {', '.join(sorted(weights))[:200] or 'nothing'}"
    return f"{len(weights)} layers" if isinstance(weights, list) else f"one array of shape {weights.shape}"
