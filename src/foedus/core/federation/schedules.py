"""How often a node sends its statistics: a letter (minutes, hours, days) and how many, such as ``m5`` or ``h3``."""

import re

from foedus.core.errors import Invalid

_SECONDS = {"m": 60, "h": 3600, "d": 86400}
_FORM = re.compile(r"([mhd])([1-9][0-9]{0,4})")
MAX_SECONDS = 366 * 86400


def period_s(schedule: str) -> float:
    """The seconds between two syncs. Raises Invalid."""
    found = _FORM.fullmatch(schedule)
    seconds = _SECONDS[found[1]] * int(found[2]) if found else 0
    if not 0 < seconds <= MAX_SECONDS:
        raise Invalid(
            f"a schedule is m (minutes), h (hours) or d (days) and a number, such as m5 or h3, of at most 366 days; "
            f"not {schedule[:20]!r}"
        )
    return float(seconds)
