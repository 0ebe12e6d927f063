"""The room that a process has for statistics that it read."""

from foedus.core.statistics import Statistics
from foedus.services.shell.at_hand import Memory

MOST_BYTES = 512 << 20
MEMORY = Memory(MOST_BYTES)  # for all statistics that this process keeps, its projects' own and those of others


def bytes_of(value: Statistics) -> int:
    """What statistics take in memory, about."""
    return sum(
        sum(array.nbytes for array in summary.moments.arrays())
        + sum(sketch.keys.nbytes + sketch.counts.nbytes for sketch in summary.sketches)
        for summary in (value.total, *value.parts.values())
    )
