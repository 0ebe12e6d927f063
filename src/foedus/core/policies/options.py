"""Ranges of policies' options, refused by name, value and range; and exact shares."""

from fractions import Fraction
from functools import lru_cache
from typing import Any

from foedus.core.errors import Invalid

MAX_COUNT = 2**31 - 1  # what every database keeps in an integer column
MAX_SECONDS = 10 * 365 * 86_400  # ten years: far from the end of the calendar


def share_of(ratio: float, whole: int) -> Fraction:
    """``ratio * whole`` with the ratio as it was written: 0.7 of 10 is 7 and not 6.999..."""
    return _as_written(ratio) * whole


@lru_cache(maxsize=256, typed=True)  # a policy has few, and asks for each update
def _as_written(ratio: float) -> Fraction:
    return Fraction(str(ratio))


def check_count(option: str, value: Any, *, at_least: int = 1, optional: bool = False) -> None:
    if value is None and optional:
        return
    if isinstance(value, int) and not isinstance(value, bool) and at_least <= value <= MAX_COUNT:
        return
    raise _refused(option, value, f"a whole number from {at_least} to {MAX_COUNT}", optional=optional)


def check_ratio(option: str, value: Any, *, at_most: int = 1) -> None:
    if not (_is_number(value) and 0 <= value <= at_most):
        raise _refused(option, value, f"a number from 0 to {at_most}")


def check_seconds(option: str, value: Any, *, optional: bool = False) -> None:
    if value is None and optional:
        return
    if not (_is_number(value) and 0 < value <= MAX_SECONDS):
        raise _refused(option, value, f"a number of seconds above 0 and up to {MAX_SECONDS}", optional=optional)


def check_days(option: str, value: Any) -> None:
    most = MAX_SECONDS // 86_400
    if not (_is_number(value) and 0 < value <= most):
        raise _refused(option, value, f"a number of days above 0 and up to {most}")


def check_choice(option: str, value: Any, choices: tuple[str, ...]) -> None:
    if not (isinstance(value, str) and value in choices):
        raise _refused(option, value, f"one of {', '.join(map(repr, choices))}")


def _is_number(value: Any) -> bool:
    """NaN passes here and fails every range."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def _refused(option: str, value: Any, expected: str, *, optional: bool = False) -> Invalid:
    # Printing an integer of thousands of digits raises, and it may hide inside of a list.
    printable = value is None or isinstance(value, str | float) or (isinstance(value, int) and abs(value) < 2**64)
    shown = repr(value)[:80] if printable else f"this {type(value).__name__}"
    return Invalid(f"option {option} must be {expected}{' or null' if optional else ''}, not {shown}")
