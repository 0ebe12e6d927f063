"""How many different patients there are, without keeping who they are.

Ids are hashed with a secret key that those who merge share, and of which only a fingerprint is kept. Up to MAX_EXACT
different hashes are kept with the number of their rows, and counting is exact, forgetting too. Beyond, a HyperLogLog
of 16,384 registers estimates within about 1 %; it cannot forget. Which of both it is depends on the set alone, so
merging is commutative and associative to the bit.

Sources: Flajolet, Fusy, Gandouet, Meunier, AofA 2007; Ertl, arXiv:1702.01284 (the estimator that needs no tables).
"""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from math import sqrt

import numpy as np
from numpy.typing import NDArray

from foedus.core.errors import Conflict, Invalid
from foedus.core.statistics.moments import Integers

Hashes = NDArray[np.uint64]

MAX_EXACT = 4096
PRECISION = 14
_REST = 64 - PRECISION
MIN_KEY_BYTES = 16


@dataclass(frozen=True, slots=True, eq=False)
class Patients:
    """``key_id`` (8 bytes) says which key hashed. ``hashes`` ascending with their ``counts``; ``registers`` (2**14,)
    once there were too many, and both are empty then.
    """

    key_id: bytes
    hashes: Hashes
    counts: Integers
    registers: NDArray[np.uint8]

    @classmethod
    def of(cls, ids: Iterable[str | None], key: bytes) -> "Patients":
        """Of one id a row, None where it is missing. Blanks around an id do not count."""
        if len(key) < MIN_KEY_BYTES:
            raise Invalid(f"the key that patients' ids are hashed with has at least {MIN_KEY_BYTES} bytes")
        digests = [_digest(text, key) for text in ids if text is not None and text.strip()]
        hashes, counts = np.unique(np.array(digests, np.uint64), return_counts=True)
        key_id = hashlib.blake2b(b"key", key=key[:64], digest_size=8).digest()
        return _bounded(Patients(key_id, hashes, counts.astype(np.int64), np.zeros(0, np.uint8)))

    @property
    def exact(self) -> bool:
        return not len(self.registers)

    def estimate(self) -> float:
        """How many different ones; a whole number while ``exact``."""
        return float(len(self.hashes)) if self.exact else _estimate(self.registers)

    def bits(self) -> tuple[bytes, ...]:
        """Everything in it, for comparison."""
        return self.key_id, self.hashes.tobytes(), self.counts.tobytes(), self.registers.tobytes()

    def merged(self, other: "Patients") -> "Patients":
        """Raises Conflict when ids were hashed with different keys: the same patient would count twice."""
        self._check_key(other)
        if self.exact and other.exact:
            hashes, counts = _tallied(self, other, 1)
            return _bounded(Patients(self.key_id, hashes, counts, self.registers))
        registers = np.maximum(_registers_of(self), _registers_of(other))
        return Patients(self.key_id, self.hashes[:0], self.counts[:0], registers)

    def without(self, other: "Patients") -> "Patients":
        """Raises Conflict when a row of ``other`` was never in here. Once estimated, nobody is forgotten."""
        self._check_key(other)
        if not self.exact:
            return self
        hashes, counts = _tallied(self, other, -1)
        if not other.exact or (counts < 0).any():
            raise Conflict("these rows cannot be forgotten: they name patients that were never learned")
        return Patients(self.key_id, hashes[counts > 0], counts[counts > 0], self.registers)

    def _check_key(self, other: "Patients") -> None:
        if self.key_id != other.key_id:
            raise Conflict("patients were counted with different keys; learn again with the key of the federation")


def _bounded(patients: Patients) -> Patients:
    if len(patients.hashes) <= MAX_EXACT:
        return patients
    return Patients(patients.key_id, patients.hashes[:0], patients.counts[:0], _registers_of(patients))


def _digest(text: str, key: bytes) -> int:
    digest = hashlib.blake2b(text.strip().encode("utf-8", "surrogatepass"), key=key[:64], digest_size=8).digest()
    return int.from_bytes(digest, "little")


def _tallied(a: Patients, b: Patients, sign: int) -> tuple[Hashes, Integers]:
    hashes, places = np.unique(np.concatenate([a.hashes, b.hashes]), return_inverse=True)
    counts = np.zeros(len(hashes), np.int64)
    np.add.at(counts, places, np.concatenate([a.counts, sign * b.counts]))
    return hashes, counts


def _registers_of(patients: Patients) -> NDArray[np.uint8]:
    """In each register the highest rank of a hash that falls to it: 1 and the number of zeros that its rest begins
    with.
    """
    if not patients.exact:
        return patients.registers
    registers = np.zeros(1 << PRECISION, np.uint8)
    rest = patients.hashes & np.uint64((1 << _REST) - 1)  # below 2**50: exact as a float
    length = np.frexp(rest.astype(np.float64))[1]
    np.maximum.at(
        registers, (patients.hashes >> np.uint64(_REST)).astype(np.intp), (_REST - length + 1).astype(np.uint8)
    )
    return registers


def _estimate(registers: NDArray[np.uint8]) -> float:
    """Ertl's improved raw estimator, Algorithm 6."""
    m, q = len(registers), _REST
    tally = np.bincount(registers, minlength=q + 2).astype(np.float64)
    z = m * _tau(1 - tally[q + 1] / m)
    for k in range(q, 0, -1):
        z = 0.5 * (z + tally[k])
    z += m * _sigma(tally[0] / m)
    return float(m / (2 * np.log(2)) * m / z)


def _sigma(x: float) -> float:
    if x == 1:
        return float("inf")
    y, z, before = 1.0, x, -1.0
    while z != before:
        x *= x
        before, z, y = z, z + x * y, y + y
    return z


def _tau(x: float) -> float:
    if x in (0, 1):
        return 0.0
    y, z, before = 1.0, 1 - x, -1.0
    while z != before:
        x = sqrt(x)
        before, y = z, y * 0.5
        z -= (1 - x) ** 2 * y
    return z / 3
