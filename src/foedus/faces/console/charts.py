"""Lines of metrics over checkpoints, as points of an SVG."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import isfinite
from typing import Any

WIDTH, HEIGHT, EDGE = 640, 200, 8
MAX_CHARTS = 6
_Series = list[tuple[int, float]]


@dataclass(frozen=True, slots=True)
class Chart:
    """One metric: ``points`` as an SVG polyline takes them, and the same as rows for who reads instead of looks."""

    name: str
    points: str
    dots: tuple[tuple[float, float], ...]
    low: float
    high: float
    first: int
    last: int
    rows: tuple[tuple[int, float], ...]
    width: int = WIDTH
    height: int = HEIGHT


def charts_of(measured: Sequence[tuple[int, Mapping[str, Any]]]) -> list[Chart]:
    """A chart for each metric with numbers; ``measured`` has the number of a checkpoint and its metrics, in order."""
    series: dict[str, _Series] = {}
    for number, metrics in measured:
        for name, value in metrics.items():
            if isinstance(value, int | float) and not isinstance(value, bool) and isfinite(value):
                series.setdefault(str(name), []).append((number, float(value)))
    return [_chart(name, series[name]) for name in sorted(series)[:MAX_CHARTS]]


def _chart(name: str, series: _Series) -> Chart:
    numbers, values = [number for number, _ in series], [value for _, value in series]
    low, high = min(values), max(values)
    width, height = WIDTH - 2 * EDGE, HEIGHT - 2 * EDGE
    dots = tuple(
        (
            round(EDGE + width * (number - numbers[0]) / max(1, numbers[-1] - numbers[0]), 1),
            round(EDGE + height * (1 - ((value - low) / (high - low) if high > low else 0.5)), 1),
        )
        for number, value in series
    )
    points = " ".join(f"{x},{y}" for x, y in dots)
    return Chart(name, points, dots, low, high, numbers[0], numbers[-1], tuple(series))
