"""Companions about columns: event tables, micro-clusters, a posterior, the leaves of a forest, tails."""

from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np

from foedus.core.companions.companion import Mergeable, OfFeatures, Remembering, cells_of, whole_rows
from foedus.core.models.centroids import Centroids
from foedus.core.models.forest import Grove
from foedus.core.models.logistic import Posterior
from foedus.core.models.model import Task
from foedus.core.models.survival import Events
from foedus.core.models.tails import Tails
from foedus.core.symetryml.frames import Floats, Frame, numbers, text_of

ANYTHING = "row"  # the target and label of a forest that has none


@dataclass(frozen=True, slots=True)
class Survivals(Mergeable):
    """Rows without a time or an event are left out; without a ``group`` all are one."""

    time: str
    event: str
    group: str = ""
    kind: ClassVar[type] = Events

    def empty(self) -> Events:
        return Events()

    def part(self, frame: Frame) -> Events:
        times, _ = numbers(self.time, cells_of(frame, self.time), binary=False)
        event, _ = numbers(self.event, cells_of(frame, self.event), binary=True)
        groups = [text_of(self.group, cell) or "" for cell in cells_of(frame, self.group)] if self.group else None
        whole = np.isfinite(times) & np.isfinite(event)
        kept = None if groups is None else [group for group, there in zip(groups, whole, strict=True) if there]
        return Events.of(times[whole], event[whole], kept)


@dataclass(frozen=True, slots=True)
class Clusters(Remembering, OfFeatures):
    limit: int = 200
    kind: ClassVar[type] = Centroids
    why: ClassVar[str] = "which rows its micro-clusters (cluster_features) were made of is not kept"

    def empty(self) -> Centroids:
        return Centroids.of(self.features, np.zeros((0, len(self.features))), self.limit)

    def part(self, frame: Frame) -> Centroids:
        values, _ = whole_rows(frame, self.features)
        return Centroids.of(self.features, values, self.limit)


@dataclass(frozen=True, slots=True)
class Logistic(Remembering, OfFeatures):
    """Its parts are rows: what they add depends on those before them."""

    target: str = ""
    kind: ClassVar[type] = Posterior
    why: ClassVar[str] = "what rows added to its logistic regression (lr_features) depends on those before them"

    def empty(self) -> Posterior:
        return Posterior.empty(self.features, self.target)

    def part(self, frame: Frame) -> tuple[Floats, Floats]:
        values, _ = whole_rows(frame, self.features)
        target, _ = whole_rows(frame, (self.target,))
        self.empty().learn(values[:0], target[:0, 0])
        return values, target[:, 0]

    def added(self, summary: Posterior, part: Any) -> Posterior:
        return summary.merge(part) if isinstance(part, Posterior) else summary.learn(*part)


@dataclass(frozen=True, slots=True)
class Forests(OfFeatures):
    """Without a ``target`` the leaves count rows, for anomalies."""

    ranges: tuple[tuple[float, float], ...] = ()
    target: str = ""
    labels: tuple[str, ...] = ()
    shape: dict[str, int] = field(default_factory=dict)
    kind: ClassVar[type] = Grove

    def empty(self) -> Grove:
        ranges = dict(zip(self.features, self.ranges, strict=True))
        labels = self.labels if self.target else (ANYTHING,)
        return Grove.empty(ranges, self.target or ANYTHING, labels, **self.shape)

    def part(self, frame: Frame) -> Grove:
        values, whole = whole_rows(frame, self.features)
        target = self._target(frame)
        whole = whole & np.isfinite(target)
        return self.empty().learn(values[whole], target[whole])

    def _target(self, frame: Frame) -> Floats:
        """Numbers, or places among the labels; a label that was not declared is a missing value."""
        if not self.target:
            return np.zeros(frame.rows)
        cells = cells_of(frame, self.target)
        if not self.labels:
            return numbers(self.target, cells, binary=False)[0]
        place = {_plain(label): float(number) for number, label in enumerate(self.labels)}
        found = (place.get(_plain(text_of(self.target, cell) or ""), np.nan) for cell in cells)
        return np.array(list(found), dtype=np.float64)


@dataclass(frozen=True, slots=True)
class Extremes(Remembering, OfFeatures):
    most: int = 2000
    kind: ClassVar[type] = Tails
    why: ClassVar[str] = "the values that would take the place of its extremes (evt_features) were not kept"

    def empty(self) -> Tails:
        return Tails.empty(self.features, self.most)

    def part(self, frame: Frame) -> Tails:
        values, _ = whole_rows(frame, self.features)
        return Tails.of(self.features, values, self.most)

    def chosen(self, summary: Tails, task: Task) -> Tails:
        return summary.only(task.inputs[0]) if len(task.inputs) == 1 else summary


def _plain(label: str) -> str:
    """1, 1.0 and "1" are the same label."""
    try:
        return repr(float(label))
    except ValueError:
        return label
