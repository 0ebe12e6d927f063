"""Which rows of a frame are learned: ``age >= 18;sex == f`` keeps those for which all predicates hold."""

import operator
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from foedus.core.errors import Invalid
from foedus.core.symetryml.frames import Frame

_OPERATORS: dict[str, Callable[[Any, Any], Any]] = {
    "==": operator.eq, "!=": operator.ne, ">=": operator.ge, "<=": operator.le, ">": operator.gt, "<": operator.lt,
}  # fmt: skip
_FORM = re.compile(r"\s*([^=!<>;]+?)\s*(==|!=|>=|<=|>|<)\s*([^=!<>].*?)\s*")
MAX_PREDICATES = 100


@dataclass(frozen=True, slots=True)
class Predicates:
    """``terms``: attribute, operator, value."""

    terms: tuple[tuple[str, str, str], ...]

    @classmethod
    def parse(cls, text: str) -> "Predicates":
        """Raises Invalid."""
        terms = []
        for part in text.split(";"):
            if not part.strip():
                continue
            match = _FORM.fullmatch(part)
            if match is None:
                raise Invalid(
                    f"{part.strip()[:80]!r} is no predicate: write attribute, operator, value, such as age >= 18"
                )
            terms.append((match[1], match[2], match[3]))
        if len(terms) > MAX_PREDICATES:
            raise Invalid(f"a project filters rows by at most {MAX_PREDICATES} predicates")
        return cls(tuple(terms))

    def kept(self, frame: Frame) -> NDArray[np.bool_]:
        """Which rows all predicates hold for; one without the value fails. Raises Invalid for an unknown attribute."""
        keep = np.ones(frame.rows, dtype=bool)
        for name, sign, value in self.terms:
            cells = frame.column(name)
            if cells is None:
                raise Invalid(f"rows are filtered by attribute {name[:80]!r}, which is not in the frame")
            keep &= np.array([_holds(cell, sign, value) for cell in cells], dtype=bool)
        return keep


def _holds(cell: Any, sign: str, value: str) -> bool:
    if cell is None or str(cell).strip() == "":
        return False
    compare = _OPERATORS[sign]
    numbers = _numbers((str(cell), value))
    return bool(compare(*numbers) if numbers else compare(str(cell).strip().lower(), value.lower()))


def _numbers(texts: Sequence[str]) -> list[float] | None:
    try:
        return [float(text) for text in texts]
    except ValueError:
        return None
