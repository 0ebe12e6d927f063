"""What every Cells must do."""

import pytest

from foedus.core.fusion.parcel import digest_of
from foedus.ports.cells import ANY, CellRefuses, CellUnavailable, Form, Question
from foedus.ports.secrets import Secret

DATA = b"FCEL" + bytes(range(256)) * 40
SECRET = Secret("AAECAwQFBgcICQoLDA0ODw==")
OTHER = Secret("BBECAwQFBgcICQoLDA0ODw==")


class CellsContract:
    """A connector's test gives ``cells`` (which take at most 20,000 bytes), ``cell`` (under ``SECRET``, holding
    ``DATA``), ``hold`` to change that, and ``nowhere``, a cell that does not answer.
    """

    def taken(self, cells, cell, **question):
        pieces = []
        form = cells.fetch(cell, Question(**question), pieces.append)
        return form, b"".join(pieces)

    def test_what_a_cell_has_comes_byte_for_byte(self, cells, cell):
        assert self.taken(cells, cell) == (Form.PARCEL, DATA)

    def test_what_is_known_is_not_sent_again_until_it_changes(self, cells, cell, hold):
        known = digest_of(DATA)

        assert self.taken(cells, cell, known=known) == (Form.UNCHANGED, b"")
        assert self.taken(cells, cell, known=ANY) == (Form.UNCHANGED, b"")
        hold(b"FCEL other")
        assert self.taken(cells, cell, known=known) == (Form.PARCEL, b"FCEL other")

    def test_a_wrong_secret_is_refused_and_not_repeated(self, cells, cell):
        wrong = type(cell)(cell.url, cell.customer, cell.project, OTHER)

        with pytest.raises(CellRefuses) as refused:
            self.taken(cells, wrong)

        assert OTHER.reveal() not in f"{refused.value} {refused.value!r} {wrong!r}"

    def test_who_does_not_answer_is_unavailable(self, cells, nowhere):
        with pytest.raises(CellUnavailable):
            self.taken(cells, nowhere)

    def test_more_than_is_taken_is_refused(self, cells, cell, hold):
        hold(DATA + bytes(20_000))

        with pytest.raises(CellRefuses, match="20000 bytes"):
            self.taken(cells, cell)
