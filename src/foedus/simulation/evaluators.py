"""Evaluators that come along: what ``foedus demo`` learns, on the digits that no participant has."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from foedus.simulation.datasets import load_digits
from foedus.simulation.network import evaluate


def digits(model: Mapping[str, NDArray[np.float32]]) -> dict[str, float]:
    """The share of 1,000 held-out digits that the demo's network reads right."""
    held_out = load_digits()
    loss, accuracy = evaluate(model, held_out.test_images, held_out.test_labels)
    return {"accuracy": accuracy, "loss": loss}
