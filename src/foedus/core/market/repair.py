"""The two slips in a widely copied example of a coordinator's document, mended: these two and no others."""

import re
from typing import NamedTuple

# Outside strings, told by reading strings as units.
_STRING = r'"(?:[^"\\]|\\.)*+"'
_COMMA_TOO_MANY = re.compile(rf"({_STRING})|,(?=\s*\}}\s*(?:,\s*)?\"workflow\")")
_COMMA_MISSING = re.compile(rf"({_STRING})|\}}(?=\s*\"workflow\"\s*:)")


class Repaired(NamedTuple):
    text: str
    warnings: tuple[str, ...]


def repair(text: str) -> Repaired:
    """``text`` without a comma after the last parameter, and with one between ``parameters`` and ``workflow``."""
    warnings: list[str] = []

    def drop(match: re.Match[str]) -> str:
        if match[1]:
            return match[0]
        warnings.append("a comma after the last parameter was taken out")
        return ""

    def add(match: re.Match[str]) -> str:
        if match[1]:
            return match[0]
        warnings.append("a comma between parameters and workflow was put in")
        return "},"

    mended = _COMMA_MISSING.sub(add, _COMMA_TOO_MANY.sub(drop, text))
    return Repaired(mended, tuple(warnings))
