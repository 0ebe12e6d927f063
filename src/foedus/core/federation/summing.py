"""Statistics as numbers that add up under masks, and back.

With z = (x - centre) / radius of a frame, hence from -1 to 1, a node adds for all rows and for each part of its plan

    rows, n[g,h]           numbers of rows
    sums of z[i]           where group g is observed too, of every column
    sums of z[i]**2        likewise, of columns that are not binary
    sums of z[i] * z[j]    of pairs
    sums of z[i]**3, z[i]**4, z[i]**2 * z[j], and z[i]**2 * z[j]**2 if the plan has products

and the number of its patients. Sketches, least and greatest values and the identity of patients do not add up and are
left out: extremes of the result are those of the frame, and a patient of two nodes counts twice. Each sum is off by at
most ``error`` of the fixed-point numbers, and by the rounding of a float64 a node.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from foedus.core.errors import Conflict, Invalid, TooLarge
from foedus.core.federation.outlines import Frame
from foedus.core.privacy.fixed_point import FixedPoint, Words
from foedus.core.statistics import Level, Statistics
from foedus.core.statistics.alignment import ABSENT, placed, regrouped
from foedus.core.statistics.moments import (
    Floats,
    Moments,
    cube_about,
    fourth_about,
    product_about,
    settled,
    square_about,
)
from foedus.core.statistics.soundness import check_summary
from foedus.core.statistics.statistics import pruned
from foedus.core.statistics.summary import Summary, seat_of

MIN_FRACTION = 16


@dataclass(frozen=True)
class Summed:
    """What several nodes have together. ``patients`` may count one of two nodes twice."""

    statistics: Statistics
    patients: int


def numbers_of(frame: Frame) -> FixedPoint:
    """How sums are written. Raises TooLarge when so many rows leave too few digits."""
    found = FixedPoint.fitting(float(frame.rows), frame.nodes)
    if found.fraction < MIN_FRACTION:
        raise TooLarge("these are too many rows for a secure sum", rows=frame.rows, nodes=frame.nodes)
    return found


def length_of(frame: Frame) -> int:
    """How many numbers each node adds."""
    return 1 + len(_levels(frame)) * sum(size for _, size in _layout(frame))


def to_words(statistics: Statistics, frame: Frame) -> Words:
    """What a node adds. Raises Conflict for statistics that do not fit into the frame, TooLarge naming the attribute
    of a value that is out of its range.
    """
    _check_fits(statistics, frame)
    patients = min(round(statistics.patients.estimate()), frame.rows) if statistics.patients is not None else 0
    parts = [np.array([float(patients)])]
    for level in _levels(frame):
        summary = statistics.total if level is None else statistics.parts.get(level)
        parts.extend(_sums(summary, statistics, frame) if summary else [np.zeros(n) for _, n in _layout(frame)])
    return numbers_of(frame).encode(np.concatenate(parts))


def from_words(words: Words, frame: Frame) -> Summed:
    """The statistics that a sum tells. Raises Invalid when no rows can have them: a node added something else."""
    if len(words) != length_of(frame):
        raise Invalid("a sum of statistics has another length than its frame")
    values = numbers_of(frame).decode(words)
    patients, values = round(float(values[0])), values[1:]
    each = len(values) // len(_levels(frame))
    found: dict[Level | None, Summary] = {
        level: _summary(values[k * each : (k + 1) * each], frame) for k, level in enumerate(_levels(frame))
    }
    total = found.pop(None)
    parts = {level: part for level, part in found.items() if level is not None and part.rows}
    whole = pruned(Statistics(replace(frame.plan, sketches=False), frame.schema, total, parts))
    for summary in (whole.total, *whole.parts.values()):
        check_summary(summary, whole.schema)
    return Summed(whole, patients)


def widened(told: Statistics, before: Statistics) -> Statistics:
    """With the range of an earlier sum in its own, for comparing both: ends of ranges are no values of rows."""
    least, most = told.total.least.copy(), told.total.most.copy()
    columns = np.array(told.columns, object)[~told.schema.binary].tolist()
    known = dict(
        zip(
            np.array(before.columns, object)[~before.schema.binary].tolist(),
            range(len(before.total.least)),
            strict=True,
        )
    )
    for k, column in enumerate(columns):
        if column in known:
            least[k] = min(least[k], before.total.least[known[column]])
            most[k] = max(most[k], before.total.most[known[column]])
    return replace(told, total=replace(told.total, least=least, most=most))


def _check_fits(statistics: Statistics, frame: Frame) -> None:
    if statistics.plan != frame.plan or statistics.rows > frame.rows:
        raise Conflict("this node's statistics keep other things, or have more rows, than was agreed on")
    if frame.schema.merged(statistics.schema) != frame.schema:
        raise Conflict("this node has attributes or levels that were not agreed on; begin the sum anew")
    numeric = np.flatnonzero(~statistics.schema.binary)
    centres, radii = frame.units
    for k, column in zip(range(len(numeric)), np.array(statistics.columns, object)[numeric].tolist(), strict=True):
        at = frame.schema.place(column)
        low, high = centres[at] - radii[at], centres[at] + radii[at]
        if not low <= statistics.total.least[k] <= statistics.total.most[k] <= high:
            raise TooLarge(f"attribute {column!r} has values beyond the range agreed on", attribute=column)


def _levels(frame: Frame) -> list[Level | None]:
    """All rows, and each level of each target of the plan."""
    levels: list[Level | None] = [None]
    for attribute in frame.schema.attributes:
        if attribute.name in frame.plan.targets:
            levels += [(attribute.name, level) for level in attribute.levels or ("0", "1")]
    return levels


def _layout(frame: Frame) -> Iterator[tuple[str, int]]:
    d, c = len(frame.groups), int(np.count_nonzero(~frame.schema.binary))
    g = max(frame.groups, default=-1) + 1
    yield "rows", 1
    yield "counts", g * (g + 1) // 2
    yield "first", d * g
    yield "second", c * g
    yield "pairs", d * (d - 1) // 2
    yield "cube", c
    yield "fourth", c
    yield "square", c * (d if frame.plan.products else d - c)
    yield "product", c * (c + 1) // 2 if frame.plan.products else 0


def _sums(summary: Summary, statistics: Statistics, frame: Frame) -> list[Floats]:
    """In the order of the layout, none of them more than the number of rows."""
    m = _scaled(_framed(summary.moments, statistics, frame), frame)
    n = m.counts[m.groups].astype(np.float64)
    shift = np.where(n > 0, m.mean + m.low, 0.0)
    i, square = m.numeric, square_about(m, shift)
    first = np.where(m.binary[:, None], m.ones(), n * shift)
    shifts = shift[:, m.groups]
    pairs = m.comoment + n[:, m.groups] * shifts * shifts.T
    both = m.binary[:, None] & m.binary
    pairs = np.where(both, np.rint(pairs), pairs)
    found = [
        np.array([float(summary.rows)]),
        m.counts[np.triu_indices(len(m.counts))].astype(np.float64),
        first.ravel(),
        (m.spread + n * shift**2)[i].ravel(),
        pairs[np.triu_indices(len(m.groups), 1)],
        cube_about(m, shift),
        fourth_about(m, shift),
        square.ravel(),
        product_about(m, shift)[np.triu_indices(len(i))] if m.products else np.zeros(0),
    ]
    return [np.clip(values, -summary.rows, summary.rows) for values in found]  # rounding may lead beyond


def _framed(m: Moments, statistics: Statistics, frame: Frame) -> Moments:
    """Over the columns and groups of the frame. Raises Conflict when its groups hold columns that were seen apart."""
    seat = seat_of(m, statistics.schema, frame.schema)
    groups, labels = np.array(frame.groups, np.intp), np.full(max(frame.groups, default=-1) + 1, ABSENT - 1)
    for group, label in zip(groups.tolist(), seat.labels.tolist(), strict=True):
        if labels[group] not in (ABSENT - 1, label):
            raise Conflict("this node has other missing values than was agreed on; begin the sum anew")
        labels[group] = label
    return placed(m, seat.places, frame.schema.binary, groups, labels)


def _scaled(m: Moments, frame: Frame) -> Moments:
    """In units of the frame: ``mean`` and ``low`` become those of z. Radii are powers of two: nothing is rounded."""
    centres, radii = frame.units
    i, j = m.numeric, m.watched
    ri, rj = radii[i], radii[j]
    return replace(
        m,
        mean=(m.mean - centres[:, None]) / radii[:, None],
        low=m.low / radii[:, None],
        spread=m.spread / radii[:, None] ** 2,
        comoment=m.comoment / radii[:, None] / radii,
        cube=m.cube / ri**3,
        fourth=m.fourth / ri**2 / ri**2,
        square=m.square / ri[:, None] ** 2 / rj if m.square.size else m.square,
        product=m.product / ri[:, None] ** 2 / ri**2 if m.products else m.product,
    )


def _summary(values: Floats, frame: Frame) -> Summary:
    """What the sums of one set of rows tell."""
    ends = np.cumsum([size for _, size in _layout(frame)])
    sums = {name: part for (name, _), part in zip(_layout(frame), np.split(values, ends[:-1]), strict=True)}
    rows = round(float(sums["rows"][0]))
    moments = regrouped(settled(_unscaled(_moments(sums, frame), frame)))
    numeric = moments.numeric
    seen = moments.count()[numeric] > 0
    centres, radii = (unit[numeric] for unit in frame.units)
    return Summary(
        rows=rows,
        moments=moments,
        least=np.where(seen, centres - radii, np.inf),
        most=np.where(seen, centres + radii, -np.inf),
        sketches=(),
    )


def _moments(sums: dict[str, Floats], frame: Frame) -> Moments:
    """Of z, about its means: with a = mean(x), b = mean(y), n rows and S the sums about 0,

    sum (x-a)**2 (y-b)    = S(xxy) - b S(xx) - 2 a S(xy) + 2 n a**2 b
    sum (x-a)**2 (y-b)**2 = S(xxyy) - 2 b S(xxy) - 2 a S(xyy) + b**2 S(xx) + a**2 S(yy) + 4 a b S(xy) - 3 n a**2 b**2
    """
    groups = np.array(frame.groups, np.intp)
    empty = Moments.zeros(frame.schema.binary, groups, products=frame.plan.products)
    d, g = empty.mean.shape
    i, j = empty.numeric, empty.watched
    counts = np.rint(_symmetric(sums["counts"], g, 0)).astype(np.int64)
    n = counts[groups].astype(np.float64)
    first = sums["first"].reshape(d, g)
    mean = first / np.maximum(n, 1.0)
    second = first.copy()
    second[i] = sums["second"].reshape(len(i), g)
    pairs = _symmetric(sums["pairs"], d, 1)
    means = mean[:, groups]
    own = groups[i]
    a, own_n, own_second = mean[i, own], n[i, own], second[i, own]
    xxy = sums["square"].reshape(empty.square.shape)
    crossed = np.ix_(i, j)
    ma, mb, nij = means[crossed], means.T[crossed], n[:, groups][crossed]
    product = empty.product
    if empty.products:
        s, mi = xxy[:, i], means[np.ix_(i, i)]
        b, xx = mi.T, second[i][:, own]
        outer = -2 * b * s + b**2 * xx
        product = _symmetric(sums["product"], len(i), 0) + (outer + outer.T)
        product += 4 * mi * b * pairs[np.ix_(i, i)] - 3 * n[i][:, own] * (mi**2 * b**2)
    return replace(
        empty,
        counts=counts,
        mean=mean,
        spread=second - n * mean**2,
        comoment=pairs - n[:, groups] * (means * means.T),
        cube=sums["cube"] - 3 * a * own_second + 2 * own_n * a**3,
        fourth=sums["fourth"] - 4 * a * sums["cube"] + 6 * a**2 * own_second - 3 * own_n * a**4,
        square=xxy - mb * second[i][:, groups[j]] - 2 * ma * pairs[crossed] + 2 * nij * ma**2 * mb,
        product=product,
    )


def _unscaled(m: Moments, frame: Frame) -> Moments:
    centres, radii = frame.units
    ri, rj = radii[m.numeric], radii[m.watched]
    return replace(
        m,
        mean=centres[:, None] + m.mean * radii[:, None],
        spread=m.spread * radii[:, None] ** 2,
        comoment=m.comoment * np.outer(radii, radii),  # symmetric to the last bit
        cube=m.cube * ri**3,
        fourth=m.fourth * ri**2 * ri**2,
        square=m.square * ri[:, None] ** 2 * rj if m.square.size else m.square,
        product=m.product * np.outer(ri**2, ri**2) if m.products else m.product,
    )


def _symmetric(upper: Floats, size: int, diagonal: int) -> Floats:
    """The matrix of which ``upper`` is the triangle from that diagonal on."""
    found = np.zeros((size, size))
    found[np.triu_indices(size, diagonal)] = upper
    return found + found.T - np.diag(np.diagonal(found))
