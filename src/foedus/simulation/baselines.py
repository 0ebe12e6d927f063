"""What a federation is measured against: everybody alone, and all data in one place. Same network, same recipe.

``epochs`` of the recipe given here are all passes over the data: those of one round times the rounds.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean

import numpy as np

from foedus.core.errors import Invalid
from foedus.simulation.datasets import Digits
from foedus.simulation.network import Labels, Recipe, Weights, evaluate, train


@dataclass(frozen=True, slots=True)
class Alone:
    """Test accuracy (0 to 1) of each participant that trains on nothing but its own examples."""

    accuracies: tuple[float, ...]

    @property
    def mean(self) -> float:
        return fmean(self.accuracies)


def train_alone(weights: Weights, digits: Digits, parts: Sequence[Labels], recipe: Recipe, seed: int) -> Alone:
    """Every part trains by itself from the same ``weights``; ``parts`` are indices of training examples."""
    if not parts:
        raise Invalid("there are no participants to train alone")
    return Alone(tuple(_accuracy(weights, digits, part, recipe, [seed, n]) for n, part in enumerate(parts)))


def train_pooled(weights: Weights, digits: Digits, recipe: Recipe, seed: int) -> float:
    """Test accuracy (0 to 1) of one training on everybody's examples."""
    return _accuracy(weights, digits, np.arange(len(digits.train_labels)), recipe, [seed])


def _accuracy(weights: Weights, digits: Digits, part: Labels, recipe: Recipe, seed: list[int]) -> float:
    trained, _ = train(
        weights, digits.train_images[part], digits.train_labels[part], recipe, np.random.default_rng(seed)
    )
    return evaluate(trained, digits.test_images, digits.test_labels)[1]
