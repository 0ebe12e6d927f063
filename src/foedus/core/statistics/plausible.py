"""Whether rows that leave statistics can have been in them, as far as extremes and means tell."""

import numpy as np

from foedus.core.errors import Conflict
from foedus.core.statistics.view import View

_SLACK = 1e-9  # of the largest value: what rounding may move a mean by


def check_plausible(before: View, removed: View, left: View) -> None:
    """Raise Conflict where values were never learned: beyond the extremes, or leaving a mean that lies beyond them.

    ``before`` is of the columns of ``removed`` or more.
    """
    at = [before.columns.index(column) for column in removed.columns]
    low, high = before.least, before.most
    outside = (removed.least < low[at]) | (removed.most > high[at])
    places = [before.columns.index(column) for column in left.columns]
    room = _SLACK * np.maximum(np.abs(low), np.abs(high))
    strange = (left.mean < (low - room)[places]) | (left.mean > (high + room)[places])
    if outside.any() or strange.any():
        raise Conflict("these rows cannot be forgotten: they hold values that were never learned")
