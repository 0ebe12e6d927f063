"""Systems with covariance matrices, and the guard against those that have no answer."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from foedus.core.errors import Invalid
from foedus.core.statistics.moments import Floats

RCOND = 1e-14


@dataclass(frozen=True, slots=True, eq=False)
class Inverse:
    """The inverse of a symmetric matrix; ``rank`` is less than its size only for a pseudo-inverse."""

    matrix: Floats
    rank: int
    log_determinant: float

    def __matmul__(self, right: Floats) -> Floats:
        return self.matrix @ right


def inverse(matrix: Floats, names: Sequence[str], *, rcond: float = RCOND, pseudo: bool = False) -> Inverse:
    """Of a covariance matrix, which is scaled to a unit diagonal first so that units of columns do not matter.

    Raises Invalid, with names of columns to blame, when the least eigenvalue of the scaled matrix is below ``rcond``
    (or what rounding leaves) times the greatest; with ``pseudo`` these directions are left out instead.
    """
    diagonal = np.diagonal(matrix)
    constant = [names[k] for k in np.flatnonzero(~(diagonal > 0)).tolist()]
    if constant and not pseudo:
        raise Invalid(f"columns do not vary, leave them out: {constant[:10]}", columns=constant[:10])
    scale = np.sqrt(np.where(diagonal > 0, diagonal, 1.0))
    values, vectors = np.linalg.eigh(matrix / np.outer(scale, scale))
    least = max(rcond, 4 * len(values) * np.finfo(float).eps) * max(values[-1], 0.0)
    kept = values > least
    if not kept.all() and not pseudo:
        at_fault = np.abs(vectors[:, np.argmin(values)])
        blamed = [names[k] for k in np.argsort(-at_fault)[:5].tolist() if at_fault[k] > 0.1]
        raise Invalid(
            "the columns determine one another, so that no one answer is right: leave one of these out, or ask for the "
            f"pseudo-inverse: {blamed}",
            columns=blamed,
        )
    left = vectors[:, kept] / np.sqrt(values[kept]) / scale[:, None]
    log_determinant = float(np.log(values[kept]).sum() + 2 * np.log(scale).sum())
    return Inverse(left @ left.T, int(kept.sum()), log_determinant)


def solved(
    matrix: Floats, right: Floats, names: Sequence[str], *, rcond: float, pseudo: bool
) -> tuple[Floats, Inverse]:
    """``matrix`` x = ``right`` and the inverse, the solution improved once by its residual."""
    found = inverse(matrix, names, rcond=rcond, pseudo=pseudo)
    x = found @ right
    x = x + found @ (right - matrix @ x)
    return x, found
