"""All updates of a round at once, block by block: what rules need that compare updates instead of adding them.

A block holds the same elements of every update, one row each, in float64. Its size is fixed, so that memory is one
model, a few blocks and the square of the number of updates, however many and however large these are.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace

import numpy as np

from foedus.core.arrays import Arrays, Layout, Tensor, TensorSpec
from foedus.core.building import empty, everything, guarded, is_float
from foedus.core.errors import Invalid, NoUpdates
from foedus.core.folding import Kind, Update, check_exact, check_layout, finish
from foedus.core.packs import Pack, memory_for, naming, packs, reader, widen

BLOCK_VALUES = 1 << 19  # of all updates together: 4 MiB
_LEAST_COLUMNS = 64  # below that, opening files would take longer than reading them
Rule = Callable[[Tensor], Tensor]


@dataclass(frozen=True, slots=True)
class Votes:
    """The updates of a round, each with one vote whatever it says it weighs, in an order that arrival does not change.

    What an attacker claims to have trained on must not buy influence. Updates that weigh nothing have no vote.
    """

    weights: Arrays
    updates: tuple[Update, ...]

    @classmethod
    def of(cls, weights: Arrays, updates: Iterable[Update]) -> "Votes":
        """Raises NoUpdates; Invalid when kinds differ or an update does not fit the model."""
        ordered = sorted(updates, key=lambda u: (u.key, u.weight, u.kind, u.staleness))
        for update in ordered:
            check_layout(weights.layout, update)
        if len({update.kind for update in ordered}) > 1:
            raise Invalid("updates of one round are either all weights or all deltas")
        voting = tuple(replace(update, weight=1.0) for update in ordered if update.weight > 0)
        if not voting:
            raise NoUpdates
        return cls(weights, voting)

    def __len__(self) -> int:
        return len(self.updates)

    def elect(self, rule: Rule, only: Callable[[TensorSpec], bool] = everything) -> Arrays:
        """The model whose every element is what ``rule`` makes of a column: (updates, columns) -> (columns,), float64.

        Of deltas, it is added to the present weights. ``only`` some tensors are computed and handed back.
        """
        result = empty(Layout(tuple(spec for spec in self.weights.layout if only(spec))))
        ballots, rows_of = self._ballots(only)

        def count(pack: Pack) -> None:
            rows = rows_of(pack)
            with guarded(pack.spec):
                elected = np.array(rule(rows))
            for (spec, start, stop), place in pack.places():
                base = self.weights.block(spec.name, start, stop) if self._are_deltas else None
                with guarded(spec):
                    finish(elected[place], base, 1, out=result[spec.name].reshape(-1)[start:stop])

        for pack in ballots:
            naming(count, pack)
        return Arrays(result)

    def products(self) -> Tensor:
        """Inner products of the updates' deltas, over all floating-point tensors: (updates, updates), float64.

        Of deltas rather than weights: what all have in common would cost the digits in which they differ. Products too
        large for float64 are infinite or NaN; ``distances`` knows what that means.
        """
        total = np.zeros((len(self), len(self)))
        with np.errstate(over="ignore", invalid="ignore"):
            for rows in self._deltas():
                total += rows @ rows.T
        return total

    def squares(self) -> Tensor:
        """||d||**2 of each update's delta, over all floating-point tensors: (updates,), float64."""
        total = np.zeros(len(self))
        with np.errstate(over="ignore"):
            for rows in self._deltas():
                total += np.einsum("ij,ij->i", rows, rows)
        return total

    def _deltas(self) -> Iterator[Tensor]:
        ballots, rows_of = self._ballots(is_float)
        for pack in ballots:
            rows = rows_of(pack)
            if not self._are_deltas:
                for (spec, start, stop), place in pack.places():
                    rows[:, place] -= self.weights.block(spec.name, start, stop)
            yield rows

    def _ballots(self, only: Callable[[TensorSpec], bool]) -> tuple[list[Pack], Callable[[Pack], Tensor]]:
        """Packs, and how to read one: (updates, elements of the pack), float64, valid until the next one is read."""
        columns = max(_LEAST_COLUMNS, BLOCK_VALUES // len(self))
        ballots = list(packs(Layout(tuple(spec for spec in self.weights.layout if only(spec))), columns))
        widest = max((pack.size for pack in ballots), default=0)
        memory, scratch = np.empty(len(self) * widest), memory_for(widest)
        readers = [reader(update.source) for update in self.updates]

        def rows_of(pack: Pack) -> Tensor:
            rows = memory[: len(self) * pack.size].reshape(len(self), pack.size)
            for row, read in zip(rows, readers, strict=True):
                parts = read(pack, scratch)
                if pack.spec.dtype in ("int64", "uint64"):
                    for part in parts:
                        check_exact(pack.spec, part)
                widen(parts, row)
            return rows

        return ballots, rows_of

    @property
    def _are_deltas(self) -> bool:
        return self.updates[0].kind is Kind.DELTA


def distances(products: Tensor) -> Tensor:
    """Squared distances out of inner products: (updates, updates); infinite to what is too far away to be measured."""
    squares = np.diagonal(products)
    with np.errstate(over="ignore", invalid="ignore"):
        far = squares[:, None] + squares[None, :] - 2 * products
    far = np.where(np.isfinite(far), np.maximum(far, 0.0), np.inf)
    np.fill_diagonal(far, 0.0)
    return far


def middle(rows: Tensor) -> Tensor:
    """The median of each column; of an even number, the mean of the two in the middle, never outside of them."""
    count = len(rows)
    ordered = np.sort(rows, axis=0)
    low, high = ordered[(count - 1) // 2], ordered[count // 2]
    inside: Tensor = np.clip(low / 2 + high / 2, low, high)
    return inside


def between(mean: Tensor, rows: Tensor) -> Tensor:
    """``mean``, which rounding may have pushed out, brought back between the least and the greatest of each column."""
    inside: Tensor = np.clip(mean, rows.min(axis=0), rows.max(axis=0))
    return inside
