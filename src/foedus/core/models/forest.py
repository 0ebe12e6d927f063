"""Random decision forests whose trees are drawn before any row is seen, so that what their leaves count adds up.

Source: Fan et al., Is random model better?, ICDM 2003. What it approximates: a forest that chooses splits by the data.
Here splits are drawn within declared ranges from a seed; in return merging is pooling and forgetting undoes learning,
for classes to the bit. It needs more and deeper trees for the same accuracy, and inputs that say nothing harm it more.
"""

from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from foedus.core.errors import Conflict, Invalid
from foedus.core.models.classes import decided
from foedus.core.models.model import Outputs, check_names, check_shapes
from foedus.core.statistics.moments import Floats, Places

MAX_LEAVES = 1 << 20  # of all trees together


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Grove:
    """``least`` and ``most`` (inputs,) are the ranges that splits are drawn in. ``leaves`` (trees, 2**depth, width) say
    how many rows of each of ``labels`` came to a leaf; without labels their number, and the sum of the target. ``sums``
    (inputs + 1,) are of the inputs, and how many rows.
    """

    inputs: tuple[str, ...]
    target: str
    labels: tuple[str, ...]
    least: Floats
    most: Floats
    trees: int
    depth: int
    seed: int
    leaves: Floats
    sums: Floats

    def __post_init__(self) -> None:
        k = (len(self.inputs),)
        check_names(self.inputs, (self.target,), self.labels)
        check_shape_of_trees(self.trees, self.depth, self.seed)
        check_shapes(
            least=(self.least, k),
            most=(self.most, k),
            sums=(self.sums, (len(self.inputs) + 1,)),
            leaves=(self.leaves, (self.trees, 1 << self.depth, len(self.labels) or 2)),
        )
        if not k[0] or not (self.least < self.most).all():
            raise Invalid("a forest has inputs, each with a range from a lower to a higher value")

    @classmethod
    def empty(
        cls,
        ranges: dict[str, tuple[float, float]],
        target: str,
        labels: tuple[str, ...] = (),
        *,
        trees: int = 50,
        depth: int = 8,
        seed: int = 0,
    ) -> "Grove":
        """Trees over inputs with these ranges, for classes with ``labels``, or without for numbers. Raises Invalid."""
        check_shape_of_trees(trees, depth, seed)
        limits = np.array(list(ranges.values()), np.float64).reshape(len(ranges), 2)
        return cls(
            inputs=tuple(ranges),
            target=target,
            labels=labels,
            least=limits[:, 0],
            most=limits[:, 1],
            trees=trees,
            depth=depth,
            seed=seed,
            leaves=np.zeros((trees, 1 << depth, len(labels) or 2)),
            sums=np.zeros(len(ranges) + 1),
        )

    def learn(self, values: Floats, target: Floats) -> "Grove":
        """With rows (n, inputs), and their targets: numbers, or places among the labels. Raises Invalid."""
        values, target = np.asarray(values, np.float64), np.asarray(target, np.float64)
        if values.shape != (len(target), len(self.inputs)) or not np.isfinite(values).all():
            raise Invalid("rows are a table of finite numbers with these inputs, and a target each")
        if not np.isfinite(target).all() or (self.labels and not np.isin(target, np.arange(len(self.labels))).all()):
            raise Invalid("a target is a finite number, or the place of a label")
        leaves = self.leaves.copy()
        for tree, places in enumerate(reached(self, values)):
            if self.labels:
                np.add.at(leaves[tree], (places, target.astype(np.intp)), 1.0)
            else:
                np.add.at(leaves[tree, :, 0], places, 1.0)
                np.add.at(leaves[tree, :, 1], places, target)
        return replace(self, leaves=leaves, sums=self.sums + np.append(values.sum(axis=0), len(values)))

    def merge(self, other: "Grove") -> "Grove":
        """Raises Conflict for a forest of other trees."""
        self._check_trees(other)
        return replace(self, leaves=self.leaves + other.leaves, sums=self.sums + other.sums)

    def forget(self, other: "Grove") -> "Grove":
        """Raises Conflict when a leaf would have fewer than no rows, and for a forest of other trees."""
        self._check_trees(other)
        leaves = self.leaves - other.leaves
        if (leaves[:, :, : len(self.labels) or 1] < 0).any():
            raise Conflict("these rows cannot be forgotten: they were never learned")
        return replace(self, leaves=leaves, sums=self.sums - other.sums)

    def _check_trees(self, other: "Grove") -> None:
        mine, theirs = ((g.inputs, g.target, g.labels, g.trees, g.depth, g.seed) for g in (self, other))
        if mine != theirs or not np.array_equal([self.least, self.most], [other.least, other.most]):
            raise Conflict("forests of other trees do not merge: inputs, ranges, depth and seed must be equal")


def check_shape_of_trees(trees: int, depth: int, seed: int) -> None:
    if not (1 <= trees <= 1000 and 1 <= depth <= 16 and seed >= 0) or trees << depth > MAX_LEAVES:
        raise Invalid(
            f"trees are 1 to 1000 of depth 1 to 16, with at most {MAX_LEAVES} leaves in all; seed not negative"
        )


def reached(grove: Grove, values: Floats) -> list[Places]:
    """For each tree which leaf each row comes to."""
    rng = np.random.default_rng(grove.seed)
    found = []
    for _ in range(grove.trees):
        inner = (1 << grove.depth) - 1
        feature = (rng.random(inner) * len(grove.inputs)).astype(np.intp)
        cut = _cuts(grove, feature, rng.random(inner))
        place = np.zeros(len(values), np.intp)
        for _ in range(grove.depth):
            place = 2 * place + 1 + (values[np.arange(len(values)), feature[place]] > cut[place])
        found.append(place - inner)
    return found


def _cuts(grove: Grove, feature: Places, shares: Floats) -> Floats:
    """Each node's threshold lies within what the nodes above it leave of its input's range."""
    low, high = ({0: limits.copy()} for limits in (grove.least, grove.most))
    cuts = np.empty(len(feature))
    for node, j in enumerate(feature.tolist()):
        bottom, top = low.pop(node), high.pop(node)
        cuts[node] = bottom[j] + (0.1 + 0.8 * shares[node]) * (top[j] - bottom[j])
        left, right = 2 * node + 1, 2 * node + 2
        if left < len(feature):
            low[left], high[left], low[right], high[right] = bottom, top.copy(), bottom.copy(), top
            high[left][j], low[right][j] = cuts[node], cuts[node]
    return cuts


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Forest:
    """A grove that answers: the mean over trees of what its leaves say, ``smoothing`` rows being like all rows."""

    grove: Grove
    smoothing: float

    def __post_init__(self) -> None:
        if not 0 < self.smoothing < np.inf or not self.grove.sums[-1] >= 1:
            raise Invalid("a forest has learned rows, and a smoothing above 0")

    @property
    def inputs(self) -> tuple[str, ...]:
        return self.grove.inputs

    @property
    def targets(self) -> tuple[str, ...]:
        return (self.grove.target,)

    @property
    def means(self) -> Floats:
        return self.grove.sums[:-1] / float(self.grove.sums[-1])

    def predict(self, values: Floats) -> Outputs:
        leaves = self.grove.leaves
        whole = leaves[0].sum(axis=0)
        usual = whole / whole.sum() if self.grove.labels else whole[1:] / whole[0]
        total = np.zeros((len(values), len(usual)))
        for tree, places in enumerate(reached(self.grove, values)):
            found = leaves[tree][places]
            above, n = (found, found.sum(axis=1)) if self.grove.labels else (found[:, 1:], found[:, 0])
            total += (above + self.smoothing * usual) / (n + self.smoothing)[:, None]
        mean = total / self.grove.trees
        if not self.grove.labels:
            return {"res": mean[:, 0]}
        return decided(self.grove.labels, np.log(np.maximum(mean, 1e-300)))


@dataclass(frozen=True, slots=True, kw_only=True)
class RandomForest:
    """Raises Invalid for a grove without rows."""

    smoothing: float = 0.5
    summary: ClassVar[str] = "rf"
    fitted: ClassVar[type] = Forest

    def fit(self, grove: Grove) -> Forest:
        return Forest(grove=grove, smoothing=self.smoothing)


@dataclass(frozen=True, slots=True, kw_only=True)
class ForestClassifier(RandomForest):
    """Raises Invalid for a grove of numbers."""

    def fit(self, grove: Grove) -> Forest:
        if len(grove.labels) < 2:
            raise Invalid("the project's forest learns no classes: they are declared with their labels when it is made")
        return Forest(grove=grove, smoothing=self.smoothing)


@dataclass(frozen=True, slots=True, kw_only=True)
class ForestRegressor(RandomForest):
    """Raises Invalid for a grove of classes."""

    def fit(self, grove: Grove) -> Forest:
        if grove.labels:
            raise Invalid("the project's forest does not learn numbers: build rf_classifier or rf_anomaly")
        return Forest(grove=grove, smoothing=self.smoothing)
