"""Distributions that are told of no fewer rows than a minimum at once.

A sketch has a bin for each value while these are few, and a bin of one row is that row's value. Here neighbouring bins
become groups of at least the minimum of rows, which are spread evenly from halfway to the group before to halfway
to the next one; a value that enough rows share is told as it is. Of rows that came since the last time the groups
are made by themselves and added to what was told then, so that subtracting gives groups again.
"""

from collections.abc import Iterator, Mapping
from dataclasses import replace

import numpy as np

from foedus.core.errors import Conflict
from foedus.core.statistics import Level, Sketch, Statistics
from foedus.core.statistics.moments import Flags, Floats, Integers
from foedus.core.statistics.summary import Summary

PLACES = 8  # over which the rows of a group are spread at most


def discreet(value: Statistics, before: tuple[Statistics, Statistics] | None, least: int) -> Statistics:
    """``value`` as it may be told to those who were told the second of ``before`` when the first were the node's
    statistics. All but distributions stays as it is. After rows were forgotten all groups are made anew.
    """
    if not value.total.sketches or not least:
        return value
    total = _told(value, before, None, least)
    parts = {level: replace(part, sketches=_told(value, before, level, least)) for level, part in value.parts.items()}
    return replace(value, total=replace(value.total, sketches=total), parts=parts)


def _told(
    value: Statistics, before: tuple[Statistics, Statistics] | None, level: Level | None, least: int
) -> tuple[Sketch, ...]:
    then, told = (dict(_sketches(each, level)) for each in before) if before is not None else ({}, {})
    return tuple(_added(name, sketch, then, told, least) for name, sketch in _sketches(value, level))


def _added(name: str, now: Sketch, then: Mapping[str, Sketch], told: Mapping[str, Sketch], least: int) -> Sketch:
    if name not in then or name not in told:
        return in_groups(now, least)
    try:
        return told[name].merged(in_groups(now.without(then[name]), least))
    except Conflict:
        return in_groups(now, least)


def _sketches(value: Statistics, level: Level | None) -> Iterator[tuple[str, Sketch]]:
    summary: Summary | None = value.total if level is None else value.parts.get(level)
    names: list[str] = np.array(value.columns, object)[~value.schema.binary].tolist()
    return zip(names, summary.sketches, strict=True) if summary is not None and summary.sketches else iter(())


def in_groups(sketch: Sketch, least: int) -> Sketch:
    """The same number of rows, of which no fewer than ``least`` are told apart, if there are as many."""
    if not len(sketch.keys):
        return sketch
    low, high = sketch.edges
    at = low if not sketch.coarseness else low + (high - low) / 2
    groups = _grouped(sketch.counts.tolist(), least)
    n, first, last = (np.array(each) for each in zip(*groups, strict=True))
    halves = at[last[:-1]] + (at[first[1:]] - at[last[:-1]]) / 2
    return _spread(n, np.concatenate([at[:1], halves]), np.concatenate([halves, at[-1:]]), first == last, at[first])


def _grouped(counts: list[int], least: int) -> list[tuple[int, int, int]]:
    """Rows, first and last bin of each group. A bin of many gives some of its rows to the few beside it."""
    groups: list[tuple[int, int, int]] = []
    rows = first = 0
    for place, count in enumerate(counts):
        first = place if not rows else first
        rows += count
        if rows - count and rows >= 2 * least:  # the few before, and enough of this one for two groups
            groups.append((least, first, place))
            rows, first = rows - least, place
        if rows >= least:
            groups.append((rows, first, place))
            rows = 0
    if rows and groups:
        n, begin, end = groups.pop()
        if begin == end and n + rows >= 2 * least:
            groups += [(n + rows - least, begin, end), (least, end, len(counts) - 1)]
        else:
            groups.append((n + rows, begin, len(counts) - 1))
    return groups or [(rows, 0, len(counts) - 1)]


def _spread(n: Integers, low: Floats, high: Floats, alone: Flags, at: Floats) -> Sketch:
    """The rows of each group at its one value, or evenly between its borders."""
    places = np.where(alone, 1, np.minimum(n, PLACES))
    of = np.repeat(np.arange(len(n)), places)
    k = np.arange(len(of)) - np.repeat(np.cumsum(places) - places, places)
    values = low[of] + (high - low)[of] * ((2 * k + 1) / (2 * places[of]))
    return Sketch.counted(np.where(alone[of], at[of], values), (n[of] + k) // places[of])
