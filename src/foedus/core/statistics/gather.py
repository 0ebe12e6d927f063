"""Rows become moments: block by block, with matrix products where the time goes.

A chunk of rows is summed about a shift near its mean, in blocks that stay in the cache; its sums are centred at the
end, and chunks are merged. Where values move far from the shift, the chunk goes on about another one. All this depends
on the rows alone, so the result does not depend on the number of threads.
"""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import reduce
from typing import Protocol

import numpy as np

from foedus.core.statistics.alignment import Seat, regrouped, together
from foedus.core.statistics.moments import (
    Flags,
    Floats,
    Moments,
    by_partner,
    cube_about,
    fourth_about,
    merged,
    product_about,
    settled,
    square_about,
)
from foedus.core.statistics.products import PROCESSOR, Arithmetic
from foedus.core.statistics.sketch import Sketch
from foedus.core.statistics.sums import Sums, quick

_CHUNK_BYTES = 1 << 26
_CHUNK_ROWS = 1 << 15  # of wide tables: what the sums of a chunk become costs as much as thousands of rows
_MAX_CHUNK_BYTES = 1 << 27
_LEAST_BLOCK = 2048  # rows: products of wide columns are slow when these are short


class Rows(Protocol):
    """Rows whose columns that are not binary come first."""

    rows: int
    binary: Flags

    def fill(self, start: int, stop: int, out: Floats) -> None:
        """Write rows ``start`` to ``stop`` into ``out`` (columns, rows), NaN where a value is missing."""
        ...

    def values(self, line: int, start: int, stop: int) -> Floats:
        """One column that is not binary: (rows,)."""
        ...


@dataclass(frozen=True, slots=True)
class Gathered:
    """Moments; and of each column that is not binary the least and greatest value, (c,), inf and -inf without values,
    and its sketch, if asked for.
    """

    moments: Moments
    least: Floats
    most: Floats
    sketches: tuple[Sketch, ...]


def gather(
    rows: Rows, *, products: bool = False, sketches: bool = False, threads: int = 1, on: Arithmetic = PROCESSOR
) -> Gathered:
    """The moments of ``rows``, whose products are summed ``on`` the processor or a device. Raises Invalid for
    infinities, values beyond MAX_MAGNITUDE and binaries that are not 0 or 1.
    """
    block = max(_LEAST_BLOCK, on.block_bytes // (8 * max(1, len(rows.binary))))
    chunks = list(_spans(rows, block))

    def gathered(span: tuple[int, int]) -> Gathered:
        return _chunk(rows, *span, block, Sums(rows.binary, on, products=products), sketches=sketches)

    if threads == 1 or len(chunks) == 1:
        return reduce(_added, map(gathered, chunks))
    with ThreadPoolExecutor(threads) as pool:
        return reduce(_added, pool.map(gathered, chunks))


def _spans(rows: Rows, block: int) -> Iterator[tuple[int, int]]:
    """Chunks of about equal length and even in number, so that threads have equal work."""
    row_bytes = 8 * max(1, len(rows.binary))
    most = max(4 * block, _CHUNK_BYTES // row_bytes, min(_CHUNK_ROWS, _MAX_CHUNK_BYTES // row_bytes))
    chunks = -(-rows.rows // most)
    size = max(1, -(-rows.rows // (chunks + chunks % 2 if chunks > 1 else 1)))
    return ((start, min(start + size, rows.rows)) for start in range(0, max(1, rows.rows), size))


def _added(total: Gathered, part: Gathered) -> Gathered:
    a, b = total.moments, part.moments
    places = np.arange(len(a.groups))
    return Gathered(
        merged(*together(a, b, Seat(places, a.groups), Seat(places, b.groups), a.binary)),
        np.minimum(total.least, part.least),
        np.maximum(total.most, part.most),
        tuple(map(Sketch.merged, total.sketches, part.sketches)),
    )


def _chunk(rows: Rows, start: int, stop: int, most: int, sums: Sums, *, sketches: bool) -> Gathered:
    size = max(1, min(most, stop - start))
    parts = []
    with quick():
        for at in range(start, stop, size):
            block = sums.room(min(at + size, stop) - at)
            rows.fill(at, at + block.shape[1], block)
            if sums.far_from(block):
                parts.append(_finished(sums))
                sums = sums.anew()
            sums.add(block)
    total = reduce(_added, [*parts, _finished(sums)])
    # Of many rows at once, because sorting them into bins has a price a call.
    kept = [Sketch.empty().added(rows.values(line, start, stop)) for line in range(sums.c)] if sketches else []
    return replace(total, sketches=tuple(kept))


def _finished(sums: Sums) -> Gathered:
    sums.check()
    return Gathered(_centred(sums), sums.least, sums.most, ())


def _centred(sums: Sums) -> Moments:
    """The sums about their means: of each moment, what its lower ones explain is taken off."""
    n = sums.counts[sums.groups]
    s11, s21, s22 = sums.of_pairs.sums()
    off = sums.s1 / np.maximum(n, 1)
    offs = by_partner(off, sums.groups)
    shift = sums.shift[:, None]
    mean = shift + off
    t = mean - shift
    m = Moments(
        products=sums.products,
        binary=sums.binary,
        groups=sums.groups,
        counts=sums.counts,
        mean=mean,
        low=(shift - (mean - t)) + (off - t),
        spread=sums.s2 - n * off * off,
        comoment=s11 - by_partner(n, sums.groups) * (offs * offs.T),
        cube=np.zeros_like(sums.s3),
        fourth=np.zeros_like(sums.s4),
        square=np.zeros_like(s21),
        product=np.zeros_like(s22),
    )
    m = replace(m, cube=sums.s3 - cube_about(m, off), square=s21 - square_about(m, off))
    m = replace(m, fourth=sums.s4 - fourth_about(m, off))
    if sums.products:
        m = replace(m, product=s22 - product_about(m, off))
    return regrouped(settled(m))
