"""Softmax regression in NumPy alone: FOEDUS_URL=... FOEDUS_KEY=... python run.py [SITE SITES]

It takes part in the project that examples/operator makes. SITE of SITES says which share of the digits is "here".
"""

import os
import sys
from collections.abc import Mapping
from typing import Any

import numpy as np

from foedus.sdk import Outcome, Update, run_participant
from foedus.simulation.datasets import CLASSES, load_digits


class Site:
    """Trains on its own images by gradient descent on minibatches; they never leave it."""

    def __init__(self, site: int, sites: int) -> None:
        digits = load_digits()
        self.images = digits.train_images[site::sites]
        self.labels = digits.train_labels[site::sites]
        self.rng = np.random.default_rng(site)

    def train(self, model: Mapping[str, np.ndarray], settings: Mapping[str, Any]) -> Update:
        weights, bias = model["weights"].copy(), model["bias"].copy()  # what comes in is read-only
        losses = []
        for _ in range(settings["epochs"]):
            for rows in np.array_split(self.rng.permutation(len(self.labels)), len(self.labels) // 20):
                loss, error = self.errors(rows, weights, bias)
                weights -= settings["learning_rate"] * self.images[rows].T @ error
                bias -= settings["learning_rate"] * error.sum(axis=0)
                losses.append(loss)
        return Update({"weights": weights, "bias": bias}, len(self.labels), {"loss": float(np.mean(losses))})

    def errors(self, rows: np.ndarray, weights: np.ndarray, bias: np.ndarray) -> tuple[float, np.ndarray]:
        """The loss on some rows, and its gradient by their scores."""
        scores = self.images[rows] @ weights + bias
        chances = np.exp(scores - scores.max(axis=1, keepdims=True))
        chances /= chances.sum(axis=1, keepdims=True)
        wanted = np.eye(CLASSES, dtype=np.float32)[self.labels[rows]]
        loss = -float(np.log((chances * wanted).sum(axis=1) + 1e-9).mean())
        return loss, (chances - wanted) / len(rows)


def main(url: str, key: str, site: int = 0, sites: int = 2) -> Outcome:
    return run_participant(Site(site, sites), url=url, key=key, state=f"participant-{site}")


if __name__ == "__main__":
    print(main(os.environ["FOEDUS_URL"], os.environ["FOEDUS_KEY"], *map(int, sys.argv[1:])))
