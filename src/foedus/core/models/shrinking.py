"""Covariance matrices made better behaved.

Sources: Ledoit and Wolf, J. Multivariate Anal. 88 (2004) for the mixture with the identity; Chen et al., IEEE Trans.
Signal Processing 58 (2010) for its shares RBLW and OAS.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from foedus.core.errors import Invalid
from foedus.core.statistics.moments import Floats


@dataclass(frozen=True, slots=True, kw_only=True)
class Shrinkage:
    """``method`` "none"; "ridge": S + strength * I; "diagonal": S + strength * diag(S); "identity": (1 - share) * S +
    share * mean(diag(S)) * I with the share ``strength``, or as ``tuning`` "rblw" or "oas" finds it; "truncated":
    the least eigenvalues, a share ``strength`` of their sum, become their mean.
    """

    method: Literal["none", "ridge", "diagonal", "identity", "truncated"] = "none"
    tuning: Literal["none", "rblw", "oas"] = "none"
    strength: float = 0.1

    def __post_init__(self) -> None:
        if not 0 <= self.strength < np.inf or (self.method in ("identity", "truncated") and self.strength > 1):
            raise Invalid("the strength of a shrinkage is not negative, and at most 1 where it is a share")

    def applied(self, matrix: Floats, n: int) -> Floats:
        """The matrix, estimated from ``n`` rows, shrunk."""
        match self.method:
            case "none":
                return matrix
            case "ridge":
                return matrix + self.strength * np.eye(len(matrix))
            case "diagonal":
                return matrix + self.strength * np.diag(np.diagonal(matrix))
            case "identity":
                share = self.strength if self.tuning == "none" else tuned(matrix, n, self.tuning)
                return (1 - share) * matrix + share * float(np.diagonal(matrix).mean()) * np.eye(len(matrix))
            case "truncated":
                return _truncated(matrix, self.strength)


def tuned(matrix: Floats, n: int, tuning: Literal["rblw", "oas"]) -> float:
    """The share of the identity, in [0, 1], that the tuning finds best for normal rows."""
    p = len(matrix)
    total, squares = float(np.trace(matrix)) ** 2, float((matrix**2).sum())
    if tuning == "rblw":
        above, below = (n - 2) / n * squares + total, (n + 2) * (squares - total / p)
    else:
        above, below = squares / p**2 + total / p**2, (n + 1) * (squares - total / p) / p**2
    return 1.0 if below <= 0 else min(1.0, max(0.0, above / below))


def _truncated(matrix: Floats, share: float) -> Floats:
    values, vectors = np.linalg.eigh(matrix)
    values = np.maximum(values, 0.0)
    low = np.cumsum(values) <= share * values.sum()
    if low.any():
        values[low] = values[low].mean()
    result: Floats = (vectors * values) @ vectors.T
    return result
