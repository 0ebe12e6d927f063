"""Frozen dataclasses out of JSON: the options of strategies, policies, connectors and models; models themselves."""

import types
from collections.abc import Mapping, Sequence
from dataclasses import MISSING, Field, fields, is_dataclass
from enum import Enum
from functools import lru_cache
from math import isfinite
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

import numpy as np
from numpy.typing import NDArray

from foedus.core.errors import Invalid

_MOST_DIMENSIONS = 4  # of an array
_WANTED = {bool: "true or false", int: "an integer", float: "a finite number", str: "text", type(None): "null"}
_MOST = 10**308  # integers from here on may not fit a float


def construct(cls: type, options: Mapping[str, Any], where: str) -> Any:
    """A dataclass made from JSON values; ``where`` names it in complaints, which are Invalid.

    Types are strict (a bool is no number, text is none either), except that an integer may stand for a float. Numbers
    are finite. Ranges are checked by the class, in ``__post_init__``.
    """
    if not isinstance(options, Mapping):
        raise Invalid(f"the options of {where} are an object, not {_shown(options)}")
    known = {f.name: f for f in fields(cls) if f.init}
    for option in options:
        if option not in known:
            listed = ", ".join(known) or "none"
            raise Invalid(f"{where} has no option {str(option)[:80]!r}; it has {listed}", option=option)
    for option, declared in known.items():
        if option not in options and _required(declared):
            raise Invalid(f"{where} needs the option {option!r}", option=option)
    hints = _hints(cls)
    return cls(**{option: _fitted(value, hints[option], f"{where}.{option}") for option, value in options.items()})


@lru_cache(maxsize=256)  # of classes that come with the program
def _hints(cls: type) -> dict[str, Any]:
    return get_type_hints(cls)


def _required(declared: "Field[Any]") -> bool:
    return declared.default is MISSING and declared.default_factory is MISSING


def _fitted(value: Any, hint: Any, where: str) -> Any:
    """``value`` as a field of type ``hint``; raises Invalid that names ``where`` when it is of another type."""
    origin, arguments = get_origin(hint), get_args(hint)
    if origin in (Union, types.UnionType):
        return _first_fit(value, arguments, where)
    if origin is Literal:
        return _chosen(value, {choice: choice for choice in arguments}, where)
    if isinstance(hint, type) and issubclass(hint, Enum):
        return _chosen(value, {member.value: member for member in hint}, where)
    if isinstance(origin, type):
        return _fitted_collection(value, origin, arguments, where)
    return _fitted_scalar(value, hint, where)


def _fitted_collection(value: Any, origin: type, arguments: Sequence[Any], where: str) -> Any:
    if issubclass(origin, np.ndarray):
        return _fitted_array(value, where)
    if issubclass(origin, Mapping):
        return _fitted_mapping(value, arguments, where)
    if issubclass(origin, Sequence):
        return _fitted_sequence(value, origin, arguments, where)
    raise TypeError(f"{where}: options of type {origin} cannot be read from JSON")


def _chosen(value: Any, choices: Mapping[Any, Any], where: str) -> Any:
    for choice, meaning in choices.items():
        if type(value) is type(choice) and value == choice:
            return meaning
    raise Invalid(f"{where} must be one of {', '.join(map(repr, choices))}, not {_shown(value)}")


def _fitted_scalar(value: Any, hint: Any, where: str) -> Any:
    if hint is Any:
        return value
    if isinstance(hint, type) and is_dataclass(hint):
        return construct(hint, value, where)
    if hint not in _WANTED:
        raise TypeError(f"{where}: options of type {hint} cannot be read from JSON")
    if hint is float and type(value) is int:
        value = float(value) if abs(value) < _MOST else value
    if type(value) is not hint or (hint is float and not isfinite(value)):
        raise Invalid(f"{where} must be {_WANTED[hint]}, not {_shown(value)}")
    return value


def _first_fit(value: Any, hints: Sequence[Any], where: str) -> Any:
    """The reading as the first type that fits; when none does, the complaint of the first."""
    complaints: list[Invalid] = []
    for hint in sorted(hints, key=lambda hint: hint is float):  # an integer stays one where the class takes both
        try:
            return _fitted(value, hint, where)
        except Invalid as exc:
            complaints.append(exc)
    raise complaints[0]


def _fitted_mapping(value: Any, arguments: Sequence[Any], where: str) -> dict[str, Any]:
    if not isinstance(value, Mapping) or not all(isinstance(key, str) for key in value):
        raise Invalid(f"{where} must be an object, not {_shown(value)}")
    return {key: _fitted(item, arguments[1], f"{where}.{key}") for key, item in value.items()}


def _fitted_sequence(value: Any, origin: type, arguments: Sequence[Any], where: str) -> Sequence[Any]:
    if not isinstance(value, list | tuple):
        raise Invalid(f"{where} must be a list, not {_shown(value)}")
    hints = [arguments[0]] * len(value)
    if origin is tuple and arguments[-1] is not Ellipsis:
        hints = list(arguments)
        if len(hints) != len(value):
            raise Invalid(f"{where} must have {len(hints)} entries, not {len(value)}")
    items = [_fitted(item, hint, f"{where}[{i}]") for i, (item, hint) in enumerate(zip(value, hints, strict=True))]
    return items if origin is list else tuple(items)


def _fitted_array(value: Any, where: str) -> NDArray[np.float64]:
    """Nested lists of finite numbers, all of one length at each depth; or an array already."""
    if isinstance(value, np.ndarray):
        if value.dtype != np.float64 or value.ndim > _MOST_DIMENSIONS or not np.isfinite(value).all():
            raise Invalid(f"{where} must be finite numbers, at most {_MOST_DIMENSIONS} deep")
        return value
    depth, inner = 0, value
    while isinstance(inner, list | tuple):
        depth, inner = depth + 1, inner[0] if inner else 0.0
    flat = value
    for _ in range(depth - 1):
        if not all(isinstance(row, list | tuple) for row in flat):
            raise Invalid(f"{where} must be numbers in lists of equal depth")
        flat = [item for row in flat for item in row]
    if not depth or depth > _MOST_DIMENSIONS or not all(type(item) in (int, float) for item in flat):
        raise Invalid(f"{where} must be lists of numbers, at most {_MOST_DIMENSIONS} deep")
    try:
        array = np.array(value, dtype=np.float64)
    except (ValueError, OverflowError) as exc:
        raise Invalid(f"{where} must be numbers in lists of equal length") from exc
    if not np.isfinite(array).all():
        raise Invalid(f"{where} must be finite numbers")
    return array


def _shown(value: Any) -> str:
    return repr(value)[:80]
