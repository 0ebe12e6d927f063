import numpy as np
import pytest
from tests.core.strategies.rounds import model, updates

from foedus.core.errors import Invalid
from foedus.core.strategies.krum import Krum, scores
from foedus.core.strategies.votes import distances


def test_the_update_closest_to_its_neighbours_becomes_the_model():
    rule = Krum(byzantine=1)

    # Each has n - f - 2 = 2 neighbours: 0 -> 1 + 9 = 10, 1 -> 1 + 4 = 5, 3 -> 4 + 4 = 8, 5 -> 4 + 16 = 20, 100 far
    state = rule.step(rule.init(model((2.0,))), updates((0.0,), (1.0,), (3.0,), (5.0,), (100.0,)))

    assert state.weights["w"].tolist() == [1.0]


def test_scores_worked_by_hand():
    points = np.array([[0.0], [1.0], [3.0], [5.0], [100.0]])

    found = scores(distances(points @ points.T), 1)

    assert found.tolist() == [10.0, 5.0, 8.0, 20.0, 95.0**2 + 97.0**2]


def test_of_equals_the_first_by_key_is_taken():
    rule = Krum(byzantine=0)

    state = rule.step(rule.init(model((0.0,))), updates((1.0,), (-1.0,), (0.0,), (1.0,), (-1.0,))[::-1])

    assert state.weights["w"].tolist() == [0.0]


def test_values_too_large_to_be_measured_are_far_from_everything():
    rule = Krum(byzantine=2)
    honest = [(1.0,), (1.5,), (2.0,), (2.5,), (2.9,)]

    state = rule.step(rule.init(model((0.0,))), updates(*honest, (1e300,), (-1e300,)))

    assert state.weights["w"].tolist() == [2.0]


def test_a_count_below_none_is_refused():
    with pytest.raises(Invalid, match="byzantine"):
        Krum(byzantine=-1)
