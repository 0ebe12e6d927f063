"""Means over any number of updates in the memory of one model, the same to the last bit in whatever order they arrive.

Updates are put into a fixed order, then read pack by pack into float64 accumulators that fit a processor's cache.
Weights are first scaled by a power of two, so that they add up to less than one half: that rounds nothing and lets
no sum overflow. Why this and not an exact accumulator: ``docs/explanation/order-free-sums.md``.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from enum import StrEnum
from functools import cache
from math import frexp, fsum, isfinite, ldexp
from typing import Any, Literal

import numpy as np

from foedus.core.arrays import Arrays, Layout, Tensor, TensorSource, TensorSpec
from foedus.core.building import BLOCK_ELEMENTS, empty, everything, guarded
from foedus.core.compiled.means import CompiledMeans, Room, Target
from foedus.core.errors import Invalid, NoUpdates
from foedus.core.packs import Pack, Reader, memory_for, naming, packs, reader, widen

THREADS = 2  # NumPy lets go of the interpreter within a block; more threads wait for memory
_WORTH_THREADS = 1 << 22  # elements to read; below that a thread costs more than it brings
_EXACT = 1 << 53  # float64 holds every integer up to here


class Kind(StrEnum):
    """What an update's tensors are: the participant's weights, or what to add to those it was given."""

    WEIGHTS = "weights"
    DELTA = "delta"


@dataclass(frozen=True, slots=True)
class Update:
    """One participant's contribution to a round; its values, all finite, stay where they are until they are needed.

    ``key``        tells contributions apart and fixes their order: a digest of the content and the participant's name
    ``weight``     such as the number of examples; finite and not negative
    ``staleness``  how many checkpoints were published since the one it was trained from
    ``metrics``    what the participant measured, such as its loss; all finite
    ``extras``     what else came along because the strategy needs it: groups of tensors by name
    """

    key: str
    weight: float
    source: TensorSource
    kind: Kind = Kind.WEIGHTS
    staleness: int = 0
    metrics: Mapping[str, float] = field(default_factory=dict)
    extras: Mapping[str, TensorSource] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not (self.weight >= 0 and isfinite(self.weight)):
            raise Invalid(f"an update's weight must be a finite number from 0, not {self.weight}", update=self.key)


def weighted_mean(updates: Iterable[Update], *, block_elements: int | None = None, threads: int = THREADS) -> Arrays:
    """``sum(w_i * x_i) / sum(w_i)`` of every element, summed in float64, in the dtype of the updates.

    Integers are rounded half to even; a bool is what more than half of the weight says. Equal updates give exactly
    that update. Neither order nor ``threads`` changes a bit. Updates that weigh nothing do not count.
    Raises: NoUpdates when nothing weighs anything; Invalid when kinds or layouts differ, when 64-bit integers exceed
    2**53, or when values are not finite.
    """
    return _Fold.of(updates).run(everything, block_elements=block_elements, threads=threads)


def plain_mean(updates: Iterable[Update]) -> Arrays:
    """``weighted_mean`` where every update weighs the same."""
    return weighted_mean(evenly(updates))


def evenly(updates: Iterable[Update]) -> tuple[Update, ...]:
    """The updates, each with weight 1."""
    return tuple(replace(update, weight=1.0) for update in updates)


def mean_weights(
    weights: Arrays, updates: Iterable[Update], *, only: Callable[[TensorSpec], bool] = everything
) -> Arrays:
    """Where updates of either kind lead from ``weights``: their mean, for deltas added to ``weights`` before rounding.

    ``only`` some tensors are computed and handed back. Wholes are never taken apart: no ``x + (mean - x)``.
    Deltas of integers wrap around; a delta of bools says which to flip. Raises as ``weighted_mean``.
    """
    fold = _Fold.of(updates, weights.layout)
    return fold.run(only, base=weights if fold.kind is Kind.DELTA else None)


def mean_delta(
    weights: Arrays, updates: Iterable[Update], *, only: Callable[[TensorSpec], bool] = everything
) -> Arrays:
    """The step from ``weights`` that updates of either kind mean, subtracted in float64 before rounding.

    ``only`` some tensors are computed and handed back. Raises as ``weighted_mean``.
    """
    fold = _Fold.of(updates, weights.layout)
    return fold.run(only, base=weights if fold.kind is Kind.WEIGHTS else None, sign=-1)


@dataclass(frozen=True, slots=True)
class _Fold:
    """Updates in their order, and their weights scaled so that ``total``, the sum, lies in [1/4, 1/2)."""

    layout: Layout
    kind: Kind
    sources: tuple[TensorSource, ...]
    weights: tuple[float, ...]
    total: float

    @classmethod
    def of(cls, updates: Iterable[Update], layout: Layout | None = None) -> "_Fold":
        ordered = sorted(updates, key=lambda u: (u.key, u.weight, u.kind, u.staleness))
        weighing = [u for u in ordered if u.weight > 0]
        if not weighing:
            raise NoUpdates
        if len({u.kind for u in ordered}) > 1:
            raise Invalid("updates of one round are either all weights or all deltas")
        layout = layout or ordered[0].source.layout
        for update in ordered:
            check_layout(layout, update)
        weights, total = _shares([u.weight for u in weighing])
        return cls(layout, ordered[0].kind, tuple(u.source for u in weighing), tuple(weights), total)

    @property
    def even(self) -> bool:
        """Whether all weights are one power of two: it rounds no product of narrow types, and is left out."""
        return len(set(self.weights)) == 1 and frexp(self.weights[0])[0] == 0.5

    def run(
        self,
        only: Callable[[TensorSpec], bool],
        *,
        base: Arrays | None = None,
        sign: Literal[1, -1] = 1,
        block_elements: int | None = None,
        threads: int = THREADS,
    ) -> Arrays:
        """The mean, plus (or, with ``sign`` -1, minus) ``base``."""
        layout = Layout(tuple(spec for spec in self.layout if only(spec)))
        result = empty(layout)
        readers = [reader(source) for source in self.sources]

        def target(pack: Pack) -> Target:
            outs = [result[spec.name].reshape(-1)[start:stop] for spec, start, stop in pack.pieces]
            bases = None if base is None else [base.block(spec.name, start, stop) for spec, start, stop in pack.pieces]
            return Target(outs, bases, sign)

        def work(share: Sequence[Pack], compiled: CompiledMeans | None) -> None:
            room = Room()
            scratch = cache(lambda: _Scratch.of(share))  # not made where the compiled loop does it all

            def fold(pack: Pack) -> None:
                with guarded(pack.spec):
                    mean = self._mean(readers, pack, scratch())
                for (spec, start, stop), place in pack.places():
                    offset = None if base is None else base.block(spec.name, start, stop)
                    with guarded(spec):
                        finish(mean[place], offset, sign, out=result[spec.name].reshape(-1)[start:stop])

            for pack in share:
                if compiled is None or not compiled.fold(pack, target(pack), room):
                    naming(fold, pack)

        weights, divisor = ([1.0] * len(self.weights), len(self.weights)) if self.even else (self.weights, self.total)
        with CompiledMeans.over(self.sources, weights, divisor) as compiled:
            float32 = block_elements or (compiled.block_elements if compiled is not None else None)
            blocks = list(packs(layout, block_elements or BLOCK_ELEMENTS, float32=float32))
            if threads == 1 or layout.size * len(self.sources) < _WORTH_THREADS:
                work(blocks, compiled)
            else:
                with ThreadPoolExecutor(threads) as pool:
                    list(pool.map(work, [blocks[i::threads] for i in range(threads)], [compiled] * threads))
        return Arrays(result)

    def _mean(self, readers: Sequence[Reader], pack: Pack, scratch: "_Scratch") -> Tensor:
        """One pack of the mean in float64, in ``scratch``."""
        total, term, least, most = scratch.cut(pack.size)
        clamped = _is_clamped(pack)
        for i, (read, weight) in enumerate(zip(readers, self.weights, strict=True)):
            parts = read(pack, scratch.memory)
            if clamped and pack.spec.dtype != "float64":
                for part in parts:
                    check_exact(pack.spec, part)
            target = term if i else total  # starting from a term, not from 0.0, keeps the sign of -0.0
            widen(parts, target)
            if clamped:
                np.minimum(least if i else target, target, out=least)
                np.maximum(most if i else target, target, out=most)
            if clamped or not self.even:
                target *= weight
            if i:
                total += term
        if not clamped:
            total /= len(readers) if self.even else self.total
        else:
            # A mean lies between the least and the greatest value. Narrow types round the last bits of float64 away;
            # in these, rounding could push it out, and a mean of equal values must be that value.
            with np.errstate(over="ignore"):
                total /= self.total
            np.clip(total, least, most, out=total)
        return total


@dataclass(frozen=True, slots=True)
class _Scratch:
    """Float64 rows, and bytes to read as many elements into, that a thread uses again for every pack."""

    rows: Sequence[Tensor]
    memory: Tensor

    @classmethod
    def of(cls, share: Sequence[Pack]) -> "_Scratch":
        """Room for any of the packs: two rows, and two more where some are clamped."""
        size = max((pack.size for pack in share), default=0)
        clamped = max((pack.size for pack in share if _is_clamped(pack)), default=0)
        return cls([np.empty(n) for n in (size, size, clamped, clamped)], memory_for(size))

    def cut(self, elements: int) -> Sequence[Tensor]:
        return [row[:elements] for row in self.rows]


def _is_clamped(pack: Pack) -> bool:
    return pack.spec.dtype in ("float64", "int64", "uint64")


def finish(mean: Tensor, base: Tensor | None, sign: Literal[1, -1], *, out: Tensor) -> None:
    """Write a block of float64 values, plus or minus ``base``, in the dtype of ``out``: rounded, or as truth values."""
    if out.dtype.kind == "f":
        if base is not None:
            (np.add if sign == 1 else np.subtract)(mean, base, out=mean)
        out[...] = mean
    elif out.dtype.kind == "b":
        np.greater(mean, 0.5, out=out)
        if base is not None:
            np.logical_xor(out, base, out=out)
    else:
        out[...] = np.rint(mean, out=mean)
        if base is not None:
            (np.add if sign == 1 else np.subtract)(out, base, out=out)


def _shares(weights: Sequence[float]) -> tuple[list[float], float]:
    """The weights times a power of two, and their sum in [1/4, 1/2)."""
    _, exponent = frexp(max(weights))
    scaled = [ldexp(w, -exponent) for w in weights]
    _, exponent = frexp(fsum(scaled))
    scaled = [ldexp(w, -exponent - 1) for w in scaled]
    return scaled, fsum(scaled)


def check_layout(layout: Layout, update: Update) -> None:
    """Raise Invalid, naming tensor and update, unless the update has the tensors of ``layout``."""
    if update.source.layout == layout:
        return
    try:
        layout.check(update.source.layout)
    except Invalid as exc:
        raise Invalid(exc.message, **exc.context, update=update.key) from exc


def check_exact(spec: TensorSpec, block: Tensor, start: int | None = None) -> None:
    """Raise Invalid for integers that float64 would round, naming the first where the block's ``start`` is known."""
    if int(block.max()) <= _EXACT and int(block.min()) >= -_EXACT:
        return
    context: dict[str, Any] = {"tensor": spec.name}
    where = f"tensor {spec.name!r}"
    if start is not None:
        first = int(((block > _EXACT) | (block < -_EXACT)).argmax())
        context["index"] = start + first
        where += f" is {block[first]} at element {start + first}"
    raise Invalid(f"{where}: integers beyond 2**53 cannot be averaged", **context)
