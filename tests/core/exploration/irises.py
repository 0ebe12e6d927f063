"""The iris table of SymetryML's client: four lengths, two halves of each, three species."""

import numpy as np
from sklearn.datasets import load_iris

from foedus.core.statistics import Batch, Column, Kind, Plan, Statistics

LENGTHS = ("sepal_length", "sepal_width", "petal_length", "petal_width")
STEMS = ("sepal_lengt", "sepal_width", "petal_length", "petal_width")
CUTS = (6.0, 3.0, 4.0, 1.0)  # found by search: the only ones that give the published information gains
SPECIES = ("Iris_setosa", "Iris_versicolor", "Iris_virginica")
HALVES = tuple(f"{stem}_b{k}" for stem in STEMS for k in (1, 2))
COLUMNS = (*LENGTHS, *HALVES, *SPECIES)


def rows():
    """(150, 15)."""
    lengths, species = load_iris(return_X_y=True)
    lengths = lengths.copy()
    lengths[34, 3] = 0.1  # the file follows the UCI repository, which differs from Fisher's paper in two flowers
    lengths[37, 1:3] = 3.1, 1.5
    below = [lengths[:, k] < cut for k, cut in enumerate(CUTS)]
    halves = [column for b in below for column in (b, ~b)]
    return np.column_stack([lengths, *halves, *(species == k for k in range(3))]).astype(float)


def iris(plan=Plan(products=True, sketches=True, targets=SPECIES)):  # noqa: B008  # immutable
    table = rows()
    kinds = [Kind.CONTINUOUS] * 4 + [Kind.BINARY] * 11
    columns = [Column(name, kind, table[:, k]) for k, (name, kind) in enumerate(zip(COLUMNS, kinds, strict=True))]
    return Statistics.of(Batch(columns), plan)
