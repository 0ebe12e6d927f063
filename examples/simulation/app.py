"""Linear regression in NumPy, for many participants on one machine: foedus simulate app.py --participants 1000

Everybody has 20 rows of their own; together they find the coefficients that nobody could find alone.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np

from foedus.sdk import Evaluation, Update

FEATURES = 30
Data = tuple[np.ndarray, np.ndarray]
Model = Mapping[str, np.ndarray]
settings = {"steps": 5, "rate": 0.02}


def initial_model(rng: np.random.Generator) -> dict[str, np.ndarray]:
    return {"w": rng.normal(0, 0.1, FEATURES).astype(np.float32)}


def data(index: int, participants: int, rng: np.random.Generator) -> Data:
    x = rng.normal(index / participants - 0.5, 1, (20, FEATURES))
    return x, x @ np.arange(FEATURES) + rng.normal(0, 0.1, 20)


def train(model: Model, settings: Mapping[str, Any], data: Data) -> Update:
    (x, y), w = data, model["w"].astype(np.float64)
    for _ in range(settings["steps"]):
        w -= settings["rate"] * 2 / len(y) * x.T @ (x @ w - y)
    return Update({"w": w}, len(y), {"loss": float(np.mean((x @ w - y) ** 2))})


def evaluate(model: Model, _settings: Mapping[str, Any], data: Data) -> Evaluation:
    x, y = data
    return Evaluation({"error": float(np.mean((x @ model["w"] - y) ** 2))}, len(y))
