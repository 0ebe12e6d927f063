"""All statistics that a process keeps in memory share one room."""

import numpy as np

from foedus.core.statistics import Batch, Column, Kind, Plan, Statistics
from foedus.services.federation import syncing
from foedus.services.statistics.answering import ANSWERS
from foedus.services.statistics.at_hand import MEMORY, bytes_of
from foedus.services.statistics.keeping import KEEPER


def test_all_that_a_process_keeps_of_statistics_is_below_one_bound():
    hands = [KEEPER._at_hand, ANSWERS._merged, ANSWERS._parts, ANSWERS._schemas, syncing._SENT]

    assert [hand._memory is MEMORY for hand in hands] == [True] * 5
    assert len({hand._kind for hand in hands}) == 5


def test_statistics_weigh_what_their_arrays_do():
    rows = np.random.default_rng(0).normal(size=(300, 40))
    columns = [Column(f"x{k}", Kind.CONTINUOUS, rows[:, k]) for k in range(40)]
    value = Statistics.of(Batch(columns), Plan(products=True, sketches=True))

    assert bytes_of(value) > 3 * 8 * 40 * 40 + 2 * 8 * 300 * 40 * 0.9  # three matrices, and sketches of all values
