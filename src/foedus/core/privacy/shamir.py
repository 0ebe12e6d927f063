"""Secrets shared so that ``threshold`` holders know them and fewer know nothing.

A secret is the value at 0 of a random polynomial of degree ``threshold`` - 1 over the field of 2**255 - 19; holder k
has the value at k, from 1 on. Source: Shamir, Communications of the ACM 22 (1979).
"""

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache

from foedus.core.errors import Invalid

PRIME = 2**255 - 19
SHARE_BYTES = 32
Entropy = Callable[[int], bytes]  # that many random bytes


def shares_of(secret: int, threshold: int, holders: Sequence[int], entropy: Entropy) -> dict[int, int]:
    """A share for each holder. Raises Invalid."""
    if not 0 <= secret < PRIME:
        raise Invalid("this secret is too long to be shared")
    if not 1 <= threshold <= len(set(holders)) or len(set(holders)) != len(holders) or min(holders) < 1:
        raise Invalid("a secret is shared among different holders, from 1 on, and at least as many as it takes")
    # 64 bytes modulo a number of 32 are uniform up to 2**-256.
    coefficients = [secret, *(int.from_bytes(entropy(64), "little") % PRIME for _ in range(threshold - 1))]
    return {holder: _value(coefficients, holder) for holder in holders}


def secret_from(shares: Mapping[int, int]) -> int:
    """What exactly as many shares as it takes, or more, tell. Wrong shares give a wrong secret."""
    holders = tuple(sorted(shares))
    return sum(weight * shares[k] for weight, k in zip(_weights(holders), holders, strict=True)) % PRIME


def _value(coefficients: Sequence[int], at: int) -> int:
    total = 0
    for coefficient in reversed(coefficients):
        total = (total * at + coefficient) % PRIME
    return total


@lru_cache(maxsize=256)  # many secrets are opened by the same holders
def _weights(holders: tuple[int, ...]) -> tuple[int, ...]:
    """Lagrange's at 0."""
    weights = []
    for k in holders:
        above = below = 1
        for j in holders:
            if j != k:
                above = above * j % PRIME
                below = below * (j - k) % PRIME
        weights.append(above * pow(below, -1, PRIME) % PRIME)
    return tuple(weights)
