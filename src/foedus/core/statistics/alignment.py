"""Moments of different columns, or of other groups, brought into one form so that they can be added.

Two columns are in one group exactly when n[i] = n[j] = n[i,j]: the counts decide, so that equal statistics have equal
groups whatever led to them. Groups are numbered in the order in which columns have them.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from foedus.core.statistics.moments import Flags, Moments, Places

ABSENT = -1


@dataclass(frozen=True, slots=True)
class Seat:
    """Where a new column was in some moments, and with which of their groups it was observed; ABSENT: nowhere, never.

    A column that was nowhere but has a group is one of zeros: a level of a category that these rows never had.
    """

    places: Places
    labels: Places


def together(a: Moments, b: Moments, in_a: Seat, in_b: Seat, binary: Flags) -> tuple[Moments, Moments]:
    """Both over the same columns and groups."""
    groups, first = numbered(np.stack([in_a.labels, in_b.labels]))
    return (
        placed(a, in_a.places, binary, groups, in_a.labels[first]),
        placed(b, in_b.places, binary, groups, in_b.labels[first]),
    )


def numbered(labels: Places) -> tuple[Places, Places]:
    """Labels (d,) or rows of them (k, d) as numbers in order of appearance, and where each number appears first."""
    labels = np.atleast_2d(labels)
    if not labels.shape[1]:
        return np.zeros(0, np.intp), np.zeros(0, np.intp)
    _, first, inverse = np.unique(labels, axis=1, return_index=True, return_inverse=True)
    order = np.argsort(first)
    rank = np.empty_like(order)
    rank[order] = np.arange(len(order))
    return rank[inverse.reshape(-1)].astype(np.intp), first[order]


def placed(m: Moments, places: Places, binary: Flags, groups: Places, labels: Places) -> Moments:
    """``m`` with other columns and groups: new column k is the old ``places[k]``, new group h the old ``labels[h]``."""
    if _same(places, len(m.groups)) and _same(labels, len(m.counts)) and np.array_equal(groups, m.groups):
        return m
    numeric, watched = _ranks(~m.binary), np.arange(len(m.binary)) if m.products else _ranks(m.binary)
    rows = _looked_up(numeric, places[~binary])
    columns = _looked_up(watched, places if m.products else places[binary])
    return Moments(
        products=m.products,
        binary=binary,
        groups=groups,
        counts=_taken(m.counts, labels, labels),
        mean=_taken(m.mean, places, labels),
        low=_taken(m.low, places, labels),
        spread=_taken(m.spread, places, labels),
        comoment=_taken(m.comoment, places, places),
        cube=_taken(m.cube[:, None], rows, np.zeros(1, np.intp))[:, 0],
        fourth=_taken(m.fourth[:, None], rows, np.zeros(1, np.intp))[:, 0],
        square=_taken(m.square, rows, columns),
        product=_taken(m.product, rows, rows) if m.products else m.product,
    )


def selected(m: Moments, places: Places) -> Moments:
    """Some columns of ``m``, in the order of ``places``."""
    groups, first = numbered(m.groups[places])
    return placed(m, places, m.binary[places], groups, m.groups[places][first])


def regrouped(m: Moments) -> Moments:
    """``m`` with as few groups as its counts allow."""
    own = np.diagonal(m.counts)
    alike = (m.counts == own[:, None]) & (m.counts == own[None, :])
    smallest = np.argmax(alike, axis=1) if len(own) else np.zeros(0, np.intp)
    groups, first = numbered(smallest[m.groups])
    return placed(m, np.arange(len(m.groups)), m.binary, groups, m.groups[first])


def _same(places: Places, size: int) -> bool:
    return len(places) == size and bool((places == np.arange(size)).all())


def _ranks(flags: Flags) -> Places:
    """For each column its rank among the flagged, ABSENT for others."""
    return np.where(flags, np.cumsum(flags) - 1, ABSENT)


def _looked_up(table: Places, places: Places) -> Places:
    return np.append(table, ABSENT)[places]  # ABSENT finds ABSENT


def _taken(array: NDArray[Any], rows: Places, columns: Places) -> NDArray[Any]:
    """``array[rows][:, columns]``, with zeros where either is ABSENT."""
    found = array[rows[:, None], columns] if array.size else np.zeros((len(rows), len(columns)), array.dtype)
    found[rows == ABSENT] = 0
    found[:, columns == ABSENT] = 0
    return found
