"""What the scientist sends to both hospitals: a step of gradient descent a round, for a line through their patients.

Both begin at the same weights, and the session weighs what they hand in by their rows. So what it averages is exactly
the step that one table with all patients would take.
"""

import os
from pathlib import Path

import numpy as np

from foedus.sdk import take_part

rows = np.loadtxt(Path(os.environ["NEVERMINED_INPUTS_PATH"]) / "patients.txt")
x, y = rows[:, :-1], rows[:, -1]


def train(weights: np.ndarray) -> tuple[np.ndarray, int]:
    return weights - 0.3 * x.T @ (x @ weights - y) / len(y), len(y)


take_part(train, np.zeros(x.shape[1]), heartbeat_s=0.1)
