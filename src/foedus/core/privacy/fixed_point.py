"""Real numbers as whole ones modulo 2**64, whose sum is exact whatever the order and whatever masks are on them."""

from dataclasses import dataclass
from math import frexp, isfinite, ldexp
from typing import Self

import numpy as np
from numpy.typing import NDArray

from foedus.core.errors import Invalid, TooLarge

Words = NDArray[np.uint64]
Floats = NDArray[np.float64]
_BITS = 62  # one is the sign's, one is left over for rounding


@dataclass(frozen=True, slots=True)
class FixedPoint:
    """Numbers of up to ``bound``, of which ``parties`` are added, with ``fraction`` bits behind the point."""

    bound: float
    parties: int
    fraction: int

    @classmethod
    def fitting(cls, bound: float, parties: int) -> Self:
        """With as many bits as the sum leaves. Raises Invalid."""
        if not (parties > 0 and isfinite(bound * parties) and bound > 0):
            raise Invalid("a sum has parties, and numbers of a bound above 0")
        return cls(bound, parties, _BITS - frexp(bound * parties)[1])

    @property
    def error(self) -> float:
        """How much the sum of what ``encode`` made may be off by its rounding, besides that of a float64."""
        return self.parties * ldexp(0.5, -self.fraction)

    def encode(self, values: Floats) -> Words:
        """Raises TooLarge for a number that is above the bound, or is none: the sum could overflow unnoticed."""
        if not bool((np.abs(values) <= self.bound).all()):  # NaN is not either
            raise TooLarge(f"a number to add is above {self.bound:g}, the bound agreed on", bound=self.bound)
        return np.rint(np.ldexp(values, self.fraction)).astype(np.int64).view(np.uint64)

    def decode(self, words: Words) -> Floats:
        """Raises Invalid where the sum is more than the parties' bounds allow: somebody added something else."""
        values: Floats = np.ldexp(words.view(np.int64).astype(np.float64), -self.fraction)
        if not bool((np.abs(values) <= self.bound * self.parties + self.error).all()):
            raise Invalid("the sum is beyond what its parties' numbers can make: one of them did not add its own")
        return values
