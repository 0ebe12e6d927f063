"""5,000 handwritten digits of MNIST; ``digits.md`` beside this file tells where they come from and their licence."""

from importlib import resources
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

CLASSES = 10
PIXELS = 28 * 28
TRAINING_EXAMPLES = 4_000


class Digits(NamedTuple):
    """Images are rows of 784 grey values from 0 (paper) to 1 (ink), labels the digits 0 to 9, each as often."""

    train_images: NDArray[np.float32]
    train_labels: NDArray[np.int64]
    test_images: NDArray[np.float32]
    test_labels: NDArray[np.int64]


def load_digits() -> Digits:
    """4,000 examples to train on and 1,000 to test on, the same ones always."""
    with (
        resources.files(__package__).joinpath("digits.npz").open("rb") as file,
        np.load(file, allow_pickle=False) as arrays,
    ):
        images = arrays["images"].astype(np.float32) / np.float32(255)
        labels = arrays["labels"].astype(np.int64)
    return Digits(
        images[:TRAINING_EXAMPLES], labels[:TRAINING_EXAMPLES], images[TRAINING_EXAMPLES:], labels[TRAINING_EXAMPLES:]
    )
