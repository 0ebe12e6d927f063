"""What goes wrong with fusion projects, beyond the usual."""

from foedus.core.errors import Conflict, NotFound, Unavailable


class CellsMissing(Unavailable):
    """Cells of the fusion project do not answer, and nothing stands in for them."""


class CellsMoved(Conflict):
    """Somebody else has changed or merged the cells of this fusion project meanwhile."""


class TokenMissing(NotFound):
    """There is no such token."""
