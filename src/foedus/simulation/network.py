"""A small real neural network in NumPy: a convolution, the larger of each 2 x 2 of its outputs, and a softmax.

    z = patches(image) W1      h = max(0, max of each 2 x 2 of z + b1)      p = softmax(h W2 + b2)
    loss = -mean(log p[label])

28 x 28 pixels hold 12 x 12 patches of 5 x 5, two pixels apart; 16 filters make 6 x 6 x 16 values of them. Because a
filter is shared by all places, participants who see different digits still learn much the same ones, which is what
averaging needs: the federated network comes closer to the pooled one than a fully connected network does.
Weights are plain named float32 arrays, so that they travel like those of any other model.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from foedus.core.errors import Invalid
from foedus.simulation.datasets import CLASSES, PIXELS

Floats = NDArray[np.float32]
Labels = NDArray[np.int64]
Weights = Mapping[str, Floats]

FILTERS = 16
PATCH = 5
STRIDE = 2
POOLED = 6  # places along a side after the 2 x 2 of the 12 x 12


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """How to train: stochastic gradient descent with momentum over shuffled minibatches.

    ``longest_step``  gradients are scaled down to this Euclidean norm (Pascanu et al., 2013, arXiv:1211.5063)
    """

    epochs: int = 4
    learning_rate: float = 0.1
    batch: int = 12
    momentum: float = 0.9
    longest_step: float = 1.0

    def __post_init__(self) -> None:
        if self.epochs < 1 or self.batch < 1 or not 0 <= self.momentum < 1:
            raise Invalid("epochs and batch are at least 1, the momentum is at least 0 and below 1")
        if not self.learning_rate > 0 or not self.longest_step > 0:
            raise Invalid("the learning rate and the longest step are above 0")


def init_weights(rng: np.random.Generator) -> dict[str, Floats]:
    """Fresh weights: normal with variance 2 / inputs (He et al., 2015, arXiv:1502.01852), biases zero."""
    inputs = POOLED * POOLED * FILTERS
    return {
        "filters.weight": _normal(rng, PATCH * PATCH, FILTERS),
        "filters.bias": np.zeros(FILTERS, np.float32),
        "classes.weight": _normal(rng, inputs, CLASSES),
        "classes.bias": np.zeros(CLASSES, np.float32),
    }


def train(
    weights: Weights, images: Floats, labels: Labels, recipe: Recipe, rng: np.random.Generator
) -> tuple[dict[str, Floats], list[float]]:
    """Weights after ``recipe.epochs`` passes over the examples, and each pass's mean loss. The input stays as it is."""
    _check(images, labels)
    patches = _patches(images)
    trained = {name: np.array(value) for name, value in weights.items()}
    velocity = {name: np.zeros_like(value) for name, value in trained.items()}
    losses = []
    for _ in range(recipe.epochs):
        order = rng.permutation(len(images))
        total = 0.0
        for start in range(0, len(order), recipe.batch):
            chosen = order[start : start + recipe.batch]
            loss, gradients = _loss_and_gradients(trained, patches[chosen], labels[chosen])
            total += loss * len(chosen)
            _step(trained, velocity, gradients, recipe)
        losses.append(total / len(order))
    return trained, losses


def evaluate(weights: Weights, images: Floats, labels: Labels) -> tuple[float, float]:
    """Mean loss, and the share of examples whose most probable class is their label."""
    _check(images, labels)
    *_, log_p = _forward(weights, _patches(images))
    return _mean_loss(log_p, labels), float(np.mean(log_p.argmax(axis=1) == labels))


def loss_and_gradients(weights: Weights, images: Floats, labels: Labels) -> tuple[float, dict[str, Floats]]:
    """Mean loss over the examples, and its derivative by every weight."""
    _check(images, labels)
    return _loss_and_gradients(weights, _patches(images), labels)


def _loss_and_gradients(weights: Weights, patches: Floats, labels: Labels) -> tuple[float, dict[str, Floats]]:
    z, highest, hidden, log_p = _forward(weights, patches)
    n = len(labels)
    # The loss by the logits is (p - one_hot(label)) / n; the rest is the chain rule, layer by layer.
    by_logits = np.exp(log_p)
    by_logits[np.arange(n), labels] -= 1
    by_logits /= n
    by_hidden = (by_logits @ weights["classes.weight"].T) * (hidden > 0)
    by_highest = by_hidden.reshape(highest.shape)
    won = z == highest[:, None]  # equal patches share the gradient
    by_z = won * (by_highest / won.sum(axis=1, dtype=by_highest.dtype))[:, None]
    return _mean_loss(log_p, labels), {
        "filters.weight": patches.reshape(-1, PATCH * PATCH).T @ by_z.reshape(-1, FILTERS),
        "filters.bias": by_highest.sum(axis=(0, 1)),
        "classes.weight": hidden.T @ by_logits,
        "classes.bias": by_logits.sum(axis=0),
    }


def _forward(weights: Weights, patches: Floats) -> tuple[Floats, Floats, Floats, Floats]:
    z = (patches.reshape(-1, PATCH * PATCH) @ weights["filters.weight"]).reshape(*patches.shape[:3], FILTERS)
    highest = z.max(axis=1)
    hidden = np.maximum(highest + weights["filters.bias"], 0).reshape(len(patches), -1)
    logits = hidden @ weights["classes.weight"] + weights["classes.bias"]
    logits -= logits.max(axis=1, keepdims=True)  # exp() of the largest is then 1: it cannot overflow
    return z, highest, hidden, logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))


def _patches(images: Floats) -> Floats:
    """Shape (images, 4 patches of each place, 36 places, 25 pixels)."""
    grid = sliding_window_view(images.reshape(-1, 28, 28), (PATCH, PATCH), axis=(1, 2))[:, ::STRIDE, ::STRIDE]
    places = grid.reshape(-1, POOLED, 2, POOLED, 2, PATCH, PATCH).transpose(0, 2, 4, 1, 3, 5, 6)
    return places.reshape(-1, 4, POOLED * POOLED, PATCH * PATCH)


def _step(
    weights: dict[str, Floats], velocity: dict[str, Floats], gradients: Mapping[str, Floats], recipe: Recipe
) -> None:
    norm = float(np.sqrt(sum(float(np.vdot(g, g)) for g in gradients.values())))
    rate = recipe.learning_rate * min(1.0, recipe.longest_step / max(norm, 1e-12))
    for name, gradient in gradients.items():
        velocity[name] *= recipe.momentum
        velocity[name] -= rate * gradient
        weights[name] += velocity[name]


def _mean_loss(log_p: Floats, labels: Labels) -> float:
    return float(-np.mean(log_p[np.arange(len(labels)), labels], dtype=np.float64))


def _normal(rng: np.random.Generator, inputs: int, outputs: int) -> Floats:
    return rng.standard_normal((inputs, outputs), np.float32) * np.float32(np.sqrt(2 / inputs))


def _check(images: Floats, labels: Labels) -> None:
    if len(images) == 0 or images.shape != (len(labels), PIXELS):
        raise Invalid(
            f"expected a row of {PIXELS} pixels for each label, found {images.shape} for {len(labels)} labels"
        )
    if labels.min() < 0 or labels.max() >= CLASSES:
        raise Invalid(f"labels are 0 to {CLASSES - 1}, found {labels.min()} to {labels.max()}")
