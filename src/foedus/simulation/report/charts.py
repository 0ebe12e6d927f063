"""Charts as inline SVG. Positions across are percentages and heights are pixels, so that text never shrinks."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import ceil, floor
from xml.etree.ElementTree import Element

from foedus.simulation.report.content import Member
from foedus.simulation.report.markup import element

LEFT, RIGHT = 11.0, 96.0  # percent of the width: room for the numbers of the axis, and for half of the last dot
TOP, BOTTOM, HEIGHT = 16.0, 224.0, 260


@dataclass(frozen=True, slots=True, kw_only=True)
class Level:
    """A horizontal line to compare a curve with; its label stands above it at the left, or below it at the right."""

    value: float
    label: str
    kind: str
    above: bool


@dataclass(frozen=True, slots=True)
class Scale:
    """The axis of values: from ``low`` to ``high`` with a line at each of ``ticks``."""

    low: float
    high: float
    ticks: tuple[float, ...]

    @classmethod
    def around(cls, values: Sequence[float], *, floor_at: float | None = None, ceiling: float | None = None) -> "Scale":
        """The smallest scale of round numbers that holds all values."""
        low = min(values) if floor_at is None else floor_at
        high = max(values) if ceiling is None else ceiling
        step = _step((high - low) / 4)
        first, last = floor(low / step + 1e-9), ceil(high / step - 1e-9)
        ticks = tuple(n * step for n in range(first, max(last, first + 1) + 1))
        return cls(ticks[0], ticks[-1], ticks)

    def y(self, value: float) -> float:
        return BOTTOM - (value - self.low) / (self.high - self.low) * (BOTTOM - TOP)


@dataclass(frozen=True, slots=True, kw_only=True)
class Curve:
    """Values by round. ``tick`` and ``exact`` are format strings, for the axis and for the dots."""

    title: str
    points: Sequence[tuple[int, float]]
    scale: Scale
    tick: str
    exact: str
    levels: Sequence[Level] = ()


def curve_chart(curve: Curve) -> Element:
    """The points joined by lines, over an axis of rounds; each dot tells its value when pointed at."""
    summary = f"{curve.title}: {_said(curve, 0)}, {_said(curve, -1)}"
    chart = element("svg", class_="curve", role="img", aria_label=summary, width="100%", height=HEIGHT)
    across = _across([n for n, _ in curve.points])
    chart.extend(_grid(curve))
    chart.extend(_rounds(across))
    for level in curve.levels:
        chart.extend(_level(level, curve.scale))
    places = [(across[n], curve.scale.y(value)) for n, value in curve.points]
    for (x1, y1), (x2, y2) in pairwise(places):
        chart.append(element("line", x1=x1, y1=y1, x2=x2, y2=y2, class_="series"))
    for number, (x, y) in enumerate(places):
        chart.append(element("circle", element("title", _said(curve, number)), cx=x, cy=y, r=4, class_="dot"))
    return chart


def class_bar(member: Member, most: int) -> Element:
    """How many examples of each class a participant holds; ``most`` examples fill the width."""
    said = ", ".join(f"{count} of class {n}" for n, count in enumerate(member.class_counts) if count)
    bar = element("svg", class_="mix", role="img", aria_label=f"{member.name}: {said}", width="100%", height=24)
    start = 0.0
    for n, count in enumerate(member.class_counts):
        width = 100 * count / max(1, most)
        if count:
            hint = element("title", f"{member.name}: {count} of class {n}")
            bar.append(element("rect", hint, x=f"{start:.3f}%", y=0, width=f"{width:.3f}%", height=24, class_=f"c{n}"))
        if width >= 4:  # percent: a figure fits in also on a narrow screen
            middle = f"{start + width / 2:.3f}%"
            bar.append(element("text", str(n), x=middle, y=16, class_=f"t{n}", text_anchor="middle"))
        start += width
    return bar


def share_bar(share: float, kind: str) -> Element:
    """A share of 1 as a bar."""
    track = element("rect", x=0, y=0, width="100%", height=8, rx=4, class_="track")
    filled = element("rect", x=0, y=0, width=f"{100 * share:.2f}%", height=8, rx=4, class_=f"fill {kind}")
    return element("svg", track, filled, aria_hidden="true", width="100%", height=8)


def _said(curve: Curve, position: int) -> str:
    number, value = curve.points[position]
    return f"round {number} {curve.exact.format(value)}"


def _across(numbers: Sequence[int]) -> dict[int, str]:
    first, span = numbers[0], max(1, numbers[-1] - numbers[0])
    return {n: f"{LEFT + 2 + (RIGHT - LEFT - 2) * (n - first) / span:.2f}%" for n in numbers}


def _grid(curve: Curve) -> list[Element]:
    parts = []
    for tick in curve.scale.ticks:
        y = curve.scale.y(tick)
        parts.append(element("line", x1=f"{LEFT}%", y1=y, x2="100%", y2=y, class_="grid"))
        number = curve.tick.format(tick)
        parts.append(element("text", number, x=f"{LEFT - 2}%", y=y + 4, class_="tick", text_anchor="end"))
    return parts


def _rounds(across: Mapping[int, str]) -> list[Element]:
    shown = list(across)[:: ceil(len(across) / 10)]
    numbers = [element("text", str(n), x=across[n], y=BOTTOM + 18, class_="tick", text_anchor="middle") for n in shown]
    middle = f"{(LEFT + RIGHT) / 2}%"
    return [*numbers, element("text", "round", x=middle, y=HEIGHT - 2, class_="tick", text_anchor="middle")]


def _level(level: Level, scale: Scale) -> list[Element]:
    y = scale.y(level.value)
    x, anchor, dy = (f"{LEFT + 1}%", "start", -6) if level.above else ("100%", "end", 16)
    return [
        element("line", x1=f"{LEFT}%", y1=y, x2="100%", y2=y, class_=f"level {level.kind}"),
        element("text", level.label, x=x, y=y + dy, class_=f"label {level.kind}", text_anchor=anchor),
    ]


def _step(least: float) -> float:
    """The smallest of 1, 2, 5 times a power of ten that is not below ``least``."""
    power = 1e-3
    while True:
        for factor in (1, 2, 5):
            if factor * power >= least:
                return factor * power
        power *= 10
