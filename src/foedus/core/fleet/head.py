"""Training and testing the softmax head that phones train: P = softmax(X W + b).

The loss of a batch is the mean of -ln p(label). A step is W -= rate * X'(P - Y) / batch and b -= rate * mean(P - Y):
plain gradient descent, without momentum or any other state.
"""

from collections.abc import Callable
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from foedus.core.arrays import Arrays
from foedus.core.codecs.cifar import Samples
from foedus.core.errors import Invalid
from foedus.core.fleet.features import Features
from foedus.core.fleet.layouts import BIAS, WEIGHTS, FleetModel

BLOCK_EXAMPLES = 64
MOST_IN_DUAL = 4096  # examples: their products with each other take 64 MiB then

Integers = NDArray[np.int64]
Floats = NDArray[np.float32]
OnEpoch = Callable[[int, float], None]


class TooFewSamples(Invalid):
    """There are fewer samples than a batch takes."""


def train(
    weights: Arrays,
    features: Features,
    labels: NDArray[np.integer],
    epochs: int,
    rng: np.random.Generator,
    *,
    learning_rate: float = 0.0003,
    batch: int = 50,
) -> tuple[Arrays, list[float]]:
    """The head after ``epochs`` over the examples, and each epoch's loss: the mean of its batches', before each step.

    Every epoch has an order of its own; its last batch is filled up with the examples before it. ``features`` is
    (n, n_features). Everything is float32, as on phones. Where a probability gets too small for float32, phones report
    NaN as the loss; this computes it. Raises TooFewSamples, and Invalid for shapes and labels that do not fit.
    """
    features, labels = _checked(weights, features, labels)
    n = len(labels)
    if n < batch:
        raise TooFewSamples(f"{n} samples do not fill a batch of {batch}", samples=n, batch=batch)
    model = _chosen(weights, features, epochs)
    losses = []
    for _ in range(epochs):
        order = rng.permutation(n)
        batches = [order[min(start, n - batch) :][:batch] for start in range(0, n, batch)]
        losses.append(float(np.mean([_step(model, rows, labels[rows], learning_rate) for rows in batches])))
    return model.trained(), losses


def evaluate(weights: Arrays, features: Features, labels: NDArray[np.integer]) -> tuple[float, float]:
    """Mean loss, and the share of examples whose most probable class is theirs. Raises Invalid without examples."""
    features, labels = _checked(weights, features, labels)
    if not len(labels):
        raise Invalid("an evaluation needs at least one example")
    logits = features @ weights[WEIGHTS] + weights[BIAS]
    logp = _log_softmax(logits)
    hits = int(np.count_nonzero(logits.argmax(axis=1) == labels))
    return -float(np.mean(_of_labels(logp, labels), dtype=np.float64)), hits / len(labels)


def evaluate_images(model: FleetModel, weights: Arrays, samples: Samples) -> tuple[float, float]:
    """``evaluate`` on images, whose features need not fit in memory all at once."""
    n = len(samples.labels)
    loss, accuracy = 0.0, 0.0
    for start in range(0, max(n, 1), BLOCK_EXAMPLES):
        rows = slice(start, start + BLOCK_EXAMPLES)
        labels = samples.labels[rows]
        block = evaluate(weights, model.extractor(samples.images[rows]), labels)
        loss += block[0] * len(labels) / n
        accuracy += block[1] * len(labels) / n
    return loss, accuracy


class _Trainee(Protocol):
    def logits(self, rows: Integers) -> Floats: ...

    def descend(self, rows: Integers, gradient: Floats) -> None: ...

    def trained(self) -> Arrays: ...


class _Direct:
    """Weights as they are: best for few features or few epochs."""

    def __init__(self, weights: Arrays, features: Floats) -> None:
        self._x = features
        self._w, self._b = weights[WEIGHTS].copy(), weights[BIAS].copy()

    def logits(self, rows: Integers) -> Floats:
        self._rows = self._x[rows]  # gathered once for both ways
        return np.asarray(self._rows @ self._w + self._b)

    def descend(self, rows: Integers, gradient: Floats) -> None:  # noqa: ARG002  (gathered already)
        self._w -= self._rows.T @ gradient
        self._b -= gradient.sum(axis=0)

    def trained(self) -> Arrays:
        return Arrays({WEIGHTS: self._w, BIAS: self._b})


class _Dual:
    """The same steps, each kept as the multiples of examples that it adds to the weights: best for many features.

    Every step adds X'A for some A, so W = W0 + X'A throughout, and X W = X W0 + (X X') A. With X X' computed once, a
    step costs examples * classes in place of features * classes.
    """

    def __init__(self, weights: Arrays, features: Floats) -> None:
        self._x, self._w0 = features, weights[WEIGHTS]
        self._products = features @ features.T
        self._z0 = features @ self._w0
        self._a = np.zeros_like(self._z0)
        self._b = weights[BIAS].copy()

    def logits(self, rows: Integers) -> Floats:
        return np.asarray(self._z0[rows] + self._products[rows] @ self._a + self._b)

    def descend(self, rows: Integers, gradient: Floats) -> None:
        self._a[rows] -= gradient  # the rows of a batch are different ones
        self._b -= gradient.sum(axis=0)

    def trained(self) -> Arrays:
        return Arrays({WEIGHTS: self._w0 + self._x.T @ self._a, BIAS: self._b})


def _chosen(weights: Arrays, features: Floats, epochs: int) -> _Trainee:
    """The cheaper way: for each feature, 4 * n * classes * epochs operations directly, about n * n in the dual."""
    n, n_features = features.shape
    classes = len(weights[BIAS])
    if n_features > n and n < 4 * classes * epochs and n <= MOST_IN_DUAL:
        return _Dual(weights, features)
    return _Direct(weights, features)


def _step(model: _Trainee, rows: Integers, labels: Integers, learning_rate: float) -> float:
    """Descend by one batch; its loss before that."""
    logp = _log_softmax(model.logits(rows))
    loss = -float(np.mean(_of_labels(logp, labels), dtype=np.float64))
    gradient = np.exp(logp)
    gradient[np.arange(len(rows)), labels] -= 1
    gradient *= np.float32(learning_rate / len(rows))
    model.descend(rows, gradient)
    return loss


def _log_softmax(logits: Floats) -> Floats:
    shifted = logits - logits.max(axis=1, keepdims=True)
    return np.asarray(shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True)), dtype=np.float32)


def _of_labels(values: Floats, labels: Integers) -> Floats:
    return np.asarray(values[np.arange(len(labels)), labels])


def _checked(weights: Arrays, features: Features, labels: NDArray[np.integer]) -> tuple[Floats, Integers]:
    n_features, n_classes = weights[WEIGHTS].shape
    if features.ndim != 2 or features.shape[1] != n_features or labels.shape != features.shape[:1]:
        raise Invalid(f"features are (n, {n_features}) and labels (n,), not {features.shape} and {labels.shape}")
    if labels.dtype.kind not in "ui" or (labels.size and not 0 <= labels.min() <= labels.max() < n_classes):
        raise Invalid(f"labels are integers from 0 to {n_classes - 1}")
    return np.ascontiguousarray(features, dtype=np.float32), labels.astype(np.int64)
