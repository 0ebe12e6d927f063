"""Numbers that participants report beside what they hand in."""

from collections.abc import Mapping
from math import isfinite
from typing import Any

from foedus.core.errors import Invalid

MAX_METRICS = 64
MAX_METRIC_NAME_CHARACTERS = 100


def check_metrics(metrics: Mapping[str, Any]) -> None:
    """Raise Invalid unless these are few, finite numbers under short names."""
    if len(metrics) > MAX_METRICS:
        raise Invalid(f"at most {MAX_METRICS} metrics, not {len(metrics)}", field="metrics")
    for name, value in metrics.items():
        if not name or len(name) > MAX_METRIC_NAME_CHARACTERS or not name.isprintable():
            raise Invalid(f"a metric's name is 1 to {MAX_METRIC_NAME_CHARACTERS} printable characters", field="metrics")
        if isinstance(value, bool) or not isinstance(value, int | float) or not _is_finite(value):
            raise Invalid(f"metric {name!r} must be a finite number", field="metrics")


def numbers(metrics: Mapping[str, Any]) -> dict[str, float]:
    """Metrics as they were handed in: PostgreSQL gives large ones back as integers of three hundred digits."""
    return {name: float(value) for name, value in metrics.items()}


def _is_finite(value: float) -> bool:
    try:
        return isfinite(value)
    except OverflowError:  # an integer beyond all floats
        return False
