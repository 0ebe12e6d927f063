"""The two numbers to compare with, computed beside the run in a process that gives way to it."""

import multiprocessing
import os
from collections.abc import Sequence
from dataclasses import replace
from multiprocessing.connection import Connection
from types import TracebackType
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from foedus.core.errors import Unavailable
from foedus.simulation.baselines import train_alone, train_pooled
from foedus.simulation.datasets import load_digits
from foedus.simulation.network import Recipe, init_weights

_NICE = 10


class Reference:
    """``with Reference(...) as reference: ... alone, pooled = reference.result()``."""

    def __init__(self, parts: Sequence[NDArray[np.int64]], recipe: Recipe, rounds: int, seed: int) -> None:
        context = multiprocessing.get_context("spawn")
        self._receiver, sender = context.Pipe(duplex=False)
        whole = replace(recipe, epochs=recipe.epochs * rounds)
        self._process = context.Process(target=_work, args=(sender, list(parts), whole, seed), daemon=True)
        self._sender = sender

    def __enter__(self) -> Self:
        self._process.start()
        self._sender.close()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.terminate()
        self._process.join()
        self._receiver.close()

    def result(self) -> tuple[tuple[float, ...], float]:
        """Test accuracy of each participant alone, and of one training on everything."""
        try:
            answer: Any = self._receiver.recv()
        except EOFError:
            raise Unavailable("the process that trains for comparison ended early") from None
        alone, pooled = answer
        return tuple(alone), float(pooled)


def _work(sender: Connection, parts: list[NDArray[np.int64]], recipe: Recipe, seed: int) -> None:
    os.nice(_NICE)
    digits = load_digits()
    weights = init_weights(np.random.default_rng(seed))
    pooled = train_pooled(weights, digits, recipe, seed)
    sender.send((train_alone(weights, digits, parts, recipe, seed).accuracies, pooled))
