"""Inputs dropped, against R**2 of regressions on the rows themselves."""

import numpy as np
import pytest
from tests.core.models.tables import diabetes, learned

from foedus.core.errors import Invalid
from foedus.core.models import Task
from foedus.core.models.reduction import reduced

ROWS, NAMES = diabetes()
TASK = Task(NAMES[:-1], NAMES[-1:])


def r2(names):
    x = np.column_stack([np.ones(len(ROWS)), *(ROWS[:, NAMES.index(name)] for name in names)])
    y = ROWS[:, -1]
    return 1 - ((y - x @ np.linalg.lstsq(x, y)[0]) ** 2).sum() / ((y - y.mean()) ** 2).sum()


def test_the_input_that_goes_first_is_the_one_whose_loss_is_least():
    left = reduced(learned(ROWS, NAMES), TASK, loss=0.5, most=1).inputs

    dropped = min(NAMES[:-1], key=lambda name: r2(NAMES[:-1]) - r2([n for n in NAMES[:-1] if n != name]))
    assert left == tuple(name for name in NAMES[:-1] if name != dropped)


def test_no_input_goes_that_explains_more_than_is_allowed():
    left = reduced(learned(ROWS, NAMES), TASK, loss=0.005).inputs

    assert 1 < len(left) < len(NAMES) - 1
    assert all(r2(left) - r2([n for n in left if n != name]) > 0.005 for name in left)


def test_inputs_that_others_determine_go_at_any_rate():
    table, names = np.column_stack([ROWS[:, :2], 3 * ROWS[:, 0], ROWS[:, -1]]), ("a", "b", "thrice", "y")

    assert reduced(learned(table, names), Task(names[:3], ("y",)), loss=0.0).inputs == ("a", "b")


def test_a_target_that_does_not_vary_is_refused():
    table = np.column_stack([ROWS[:, :2], np.ones(len(ROWS))])

    with pytest.raises(Invalid, match="does not vary"):
        reduced(learned(table, ("a", "b", "y")), Task(("a", "b"), ("y",)))
