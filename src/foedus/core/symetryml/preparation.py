"""What a project makes of a frame before it learns: categories hashed into few levels, powers of a column added.

Sources: Weinberger et al., ICML 2009, for hashing; Yeo and Johnson, Biometrika 87 (2000), for the powers.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from typing import Any

import numpy as np

from foedus.core.errors import Invalid
from foedus.core.models.power import PREFIX, SEPARATOR, transformed
from foedus.core.symetryml.frames import Frame, Letter, numbers, text_of

BINS = "sml_project_hashtrick_binsize"
_POWER = "sml_project_power_"
MAX_BINS, MAX_STEPS, MAX_POWER = 4_000, 50, 10.0


@dataclass(frozen=True, slots=True)
class Preparation:
    """``bins`` levels for each category (0: as they are); ``powers`` of ``column``."""

    bins: int = 0
    column: str = ""
    powers: tuple[float, ...] = ()

    @classmethod
    def of(cls, params: Mapping[str, str]) -> "Preparation":
        """Of the parameters that a project is made with. Raises Invalid."""
        bins = whole(params, BINS, 0, 2, MAX_BINS) if BINS in params else 0
        given = {name.removeprefix(_POWER): text for name, text in params.items() if name.startswith(_POWER)}
        if not given:
            return cls(bins)
        if not given.get("column") or not given.keys() <= {"column", "min", "max", "steps"}:
            raise Invalid(f"powers are asked for by {_POWER}column, with {_POWER}min, max and steps")
        low, high = (number(params, f"{_POWER}{name}", default) for name, default in (("min", -2.0), ("max", 2.0)))
        if not -MAX_POWER <= low <= high <= MAX_POWER:
            raise Invalid(f"powers are from {-MAX_POWER:g} to {MAX_POWER:g}, and {_POWER}min is not above max")
        steps = whole(params, f"{_POWER}steps", 9, 1, MAX_STEPS)
        powers = dict.fromkeys(round(power, 6) + 0.0 for power in np.linspace(low, high, steps).tolist())
        return cls(bins, given["column"], tuple(powers))

    def applied(self, frame: Frame) -> Frame:
        """Raises Invalid for a column without numbers, and for one that powers are called like."""
        if self.bins:
            frame = replace(frame, cells=tuple(self._hashed(*column) for column in _columns(frame)))
        cells = frame.column(self.column) if self.column else None
        if cells is None:
            return frame
        values, _ = numbers(self.column, cells, binary=False, strict=not frame.skip_bad_rows)
        added = {f"{PREFIX}{self.column}{SEPARATOR}{_shown(power)}": power for power in self.powers}
        if added.keys() & set(frame.names):
            raise Invalid(f"attributes {PREFIX}{self.column}{SEPARATOR}... are the project's own; leave them out")
        return replace(
            frame,
            names=(*frame.names, *added),
            letters=(*frame.letters, *(Letter.CONTINUOUS for _ in added)),
            cells=(*frame.cells, *(transformed(values, power).tolist() for power in added.values())),
        )

    def _hashed(self, name: str, letter: Letter, cells: Sequence[Any]) -> Sequence[Any]:
        if letter is not Letter.CATEGORY:
            return cells
        texts = [text_of(name, cell) for cell in cells]
        places = {text: self._place(name, text) for text in set(texts) if text is not None}
        return [None if text is None else places[text] for text in texts]

    def _place(self, name: str, text: str) -> str:
        digest = sha256(f"{name}\x1f{text}".encode()).digest()
        return f"#{int.from_bytes(digest[:8], 'big') % self.bins}"


def whole(params: Mapping[str, str], name: str, default: int, least: int, most: int) -> int:
    """Raises Invalid."""
    text = params.get(name, str(default)).strip()
    if not (text.isascii() and text.isdecimal() and len(text) < 12 and least <= int(text) <= most):
        raise Invalid(f"{name} is a whole number from {least} to {most}, not {text[:40]!r}")
    return int(text)


def number(params: Mapping[str, str], name: str, default: float) -> float:
    """Raises Invalid."""
    try:
        return float(params.get(name, default))
    except ValueError:
        raise Invalid(f"{name} is a number, not {params[name][:40]!r}") from None


def _columns(frame: Frame) -> list[tuple[str, Letter, Sequence[Any]]]:
    return list(zip(frame.names, frame.letters, frame.cells, strict=True))


def _shown(power: float) -> str:
    return f"{power:.6f}".rstrip("0").rstrip(".")
