"""The date of a SymetryML request: ``yyyy-MM-dd HH:mm:ss;N`` in UTC, N nanoseconds in as many digits as they need."""

import re
from datetime import UTC, datetime, timedelta

from foedus.core.errors import Invalid

OLDEST = timedelta(minutes=5)
NEWEST = timedelta(minutes=1)
_FORM = re.compile(r"([0-9]{4}-[0-9]{2}-[0-9]{2} [0-9]{2}:[0-9]{2}:[0-9]{2});([0-9]{1,9})")


class BadDate(Invalid):
    """Invalid Date Format"""


class OutOfWindow(Invalid):
    """Please update your server time, it is likely out of sync with UTC"""


def parse_date(text: str) -> datetime:
    """Raises BadDate."""
    match = _FORM.fullmatch(text)
    try:
        second = datetime.strptime(f"{match[1]}+0000", "%Y-%m-%d %H:%M:%S%z") if match else None
    except ValueError:
        second = None
    if second is None or match is None:
        raise BadDate
    return second.replace(microsecond=int(match[2]) // 1000)


def format_date(at: datetime) -> str:
    """``at``, which is aware, as clients write it."""
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M:%S};{at.microsecond * 1000}"


def check_window(date: datetime, now: datetime) -> None:
    """Return if a request of ``date`` may be taken at ``now``: five minutes late, one early. Raises OutOfWindow."""
    if not now - OLDEST <= date <= now + NEWEST:
        raise OutOfWindow
