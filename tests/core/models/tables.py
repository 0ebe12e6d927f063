"""Real tables that models are learned from, as rows and as statistics."""

import numpy as np
from sklearn.datasets import load_breast_cancer, load_diabetes
from tests.core.exploration.irises import COLUMNS, HALVES, LENGTHS, SPECIES, iris, rows

from foedus.core.statistics import Batch, Column, Kind, Plan, Statistics

__all__ = ["COLUMNS", "HALVES", "LENGTHS", "SPECIES", "cancer", "diabetes", "iris", "learned", "rows"]


def learned(table, names, *, binary=(), plan=None):
    """Statistics of the rows of a matrix."""
    kinds = [Kind.BINARY if name in binary else Kind.CONTINUOUS for name in names]
    columns = [Column(name, kind, table[:, k]) for k, (name, kind) in enumerate(zip(names, kinds, strict=True))]
    return Statistics.of(Batch(columns, len(table)), plan or Plan(products=True, sketches=True, targets=tuple(binary)))


def diabetes():
    """(442, 11) and names: ten measurements, in their own units, and how the disease went on."""
    data = load_diabetes(scaled=False)
    return np.column_stack([data.data, data.target]), (*data.feature_names, "progression")


def cancer(size=8):
    """(569, size + 1) and names: measurements of cells, and whether the tumour is benign."""
    data = load_breast_cancer()
    names = tuple(name.replace(" ", "_") for name in data.feature_names[:size])
    return np.column_stack([data.data[:, :size], data.target]).astype(float), (*names, "benign")
