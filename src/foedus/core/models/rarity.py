"""Anomalies by random forests: rows that come to leaves where few others came.

Source of the trees: ``forest``; of the idea: Tan, Ting and Liu, Fast anomaly detection for streaming data, IJCAI 2011.
The score is ours: 1 less the mean over trees of the share of rows in leaves with at most as many rows.
"""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from foedus.core.errors import Invalid
from foedus.core.models.forest import Grove, reached
from foedus.core.models.model import Outputs
from foedus.core.statistics.moments import Floats


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class RareLeaves:
    """``res`` is 1 for a score above ``threshold``."""

    grove: Grove
    threshold: float

    def __post_init__(self) -> None:
        if not 0 < self.threshold < 1 or not self.grove.sums[-1] >= 1:
            raise Invalid("a forest has learned rows, and its threshold is between 0 and 1")

    @property
    def inputs(self) -> tuple[str, ...]:
        return self.grove.inputs

    @property
    def targets(self) -> tuple[str, ...]:
        return ()

    @property
    def means(self) -> Floats:
        return self.grove.sums[:-1] / float(self.grove.sums[-1])

    def predict(self, values: Floats) -> Outputs:
        shares = np.zeros(len(values))
        for tree, places in enumerate(reached(self.grove, values)):
            leaves = self.grove.leaves[tree]
            rows = leaves.sum(axis=1) if self.grove.labels else leaves[:, 0]
            ordered = np.sort(rows)
            below = np.searchsorted(ordered, rows[places], side="right")
            shares += np.append(0.0, ordered.cumsum())[below] / ordered.sum()
        score = 1 - shares / self.grove.trees
        return {"res": (score > self.threshold).astype(np.float64), "score": score}


@dataclass(frozen=True, slots=True, kw_only=True)
class AnomalyForest:
    """Raises Invalid for a grove without rows."""

    threshold: float = 0.95
    summary: ClassVar[str] = "rf"
    fitted: ClassVar[type] = RareLeaves

    def fit(self, grove: Grove) -> RareLeaves:
        return RareLeaves(grove=grove, threshold=self.threshold)
