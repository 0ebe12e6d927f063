"""Reading strangers' JSON objects field by field: each reader gives the right type or Invalid that says where."""

from collections.abc import Mapping, Sequence
from math import isfinite
from typing import Any

from foedus.core.errors import Invalid

MAX_ITEMS = 1_000
MAX_WHOLE = (1 << 53) - 1  # the largest number that every reader of JSON has exactly


def refuse(where: str, wanted: str, value: Any) -> Invalid:
    shown = repr(value)
    return Invalid(f"{where} must be {wanted}, not {shown if len(shown) <= 80 else shown[:77] + '...'}", field=where)


def mapping(holder: Mapping[str, Any], key: str, where: str, *, needed: bool = False) -> Mapping[str, Any]:
    """The object under ``key``; an empty one if there is none, unless it is ``needed``."""
    value = holder.get(key)
    if value is None and not needed:
        return {}
    if not isinstance(value, dict):
        raise refuse(f"{where}.{key}", "an object", value)
    return value


def objects(holder: Mapping[str, Any], key: str, where: str) -> Sequence[Mapping[str, Any]]:
    """The list of objects under ``key``; an empty one if there is none."""
    value = holder.get(key)
    if value is None:
        return ()
    if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
        raise refuse(f"{where}.{key}", "a list of objects", value)
    if len(value) > MAX_ITEMS:
        raise Invalid(f"{where}.{key} has {len(value)} items; at most {MAX_ITEMS} are allowed", field=f"{where}.{key}")
    return value


def text(holder: Mapping[str, Any], key: str, where: str, *, default: str | None = None) -> str:
    """The text under ``key``. Raises Invalid when there is none and no ``default``."""
    value = holder.get(key, default)
    if not isinstance(value, str):
        raise refuse(f"{where}.{key}", "a text", value)
    return value


def whole(
    holder: Mapping[str, Any], key: str, where: str, *, least: int, most: int = MAX_WHOLE, default: int | None = None
) -> int:
    """The whole number from ``least`` to ``most`` under ``key``; digits in a text and ``3.0`` are read as well."""
    value = holder.get(key, default)
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) <= 15:
        value = int(value)
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
        raise refuse(f"{where}.{key}", f"a whole number from {least} to {most}", value)
    return value


def number(holder: Mapping[str, Any], key: str, where: str, *, default: float | None = None) -> float:
    """The finite number under ``key``."""
    value = holder.get(key, default)
    if isinstance(value, bool) or not isinstance(value, int | float) or not _is_finite(value):
        raise refuse(f"{where}.{key}", "a finite number", value)
    return float(value)


def _is_finite(value: float) -> bool:
    try:
        return isfinite(value)
    except OverflowError:  # an integer beyond all floats
        return False
