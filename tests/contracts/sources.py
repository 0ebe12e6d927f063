"""What every Source must do."""

import pytest

from foedus.ports.sources import SourceMissing

ROWS = [("41", "27.5", "no"), ("58", "31", "yes"), ("", "22.25", "no")]
NAMES = ("age", "bmi", "smoker")
CSV = "\n".join(",".join(row) for row in (NAMES, *ROWS)).encode() + b"\n"


def taken(source, info):
    """The names and rows of a place, cells as text."""
    with source.read(info) as reading:
        batches = list(reading.rows)
    names = {batch.names for batch in batches}
    assert len(names) == 1
    return names.pop(), [tuple("" if cell is None else str(cell) for cell in row) for b in batches for row in b.data]


class SourceContract:
    """A connector's test subclasses it and gives ``source``, ``place`` (the info of ``ROWS``) and ``nowhere``."""

    def test_rows_come_in_order_under_their_names(self, source, place):
        names, rows = taken(source, place)

        assert names == NAMES
        assert [tuple(float(cell) if cell[:1].isdigit() else cell for cell in row) for row in rows] == [
            tuple(float(cell) if cell[:1].isdigit() else cell for cell in row) for row in ROWS
        ]

    def test_the_same_place_gives_the_same_rows_again(self, source, place):
        assert taken(source, place) == taken(source, place)

    def test_what_is_not_there_is_missing(self, source, nowhere):
        with pytest.raises(SourceMissing), source.read(nowhere) as reading:
            list(reading.rows)
