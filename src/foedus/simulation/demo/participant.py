"""One participant of the demo, a process: ``python -m foedus.simulation.demo.participant SHARD STATE URL``.

It sees its own shard and nobody else's. The enrolment key comes in the environment, where no list of processes
shows it.
"""

import logging
import os
import sys
import threading
from pathlib import Path

import numpy as np

from foedus.sdk import Stop, Update, run_participant
from foedus.simulation.network import Recipe, train

KEY_VARIABLE = "FOEDUS_ENROLMENT_KEY"


class DigitsParticipant:
    """Trains the demo's network on images that stay in this process."""

    def __init__(self, shard: Path) -> None:
        with np.load(shard, allow_pickle=False) as arrays:
            self._images = arrays["images"]
            self._labels = arrays["labels"]
            self._rng = np.random.default_rng(arrays["seed"])

    def train(self, model, settings):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN201
        recipe = Recipe(**settings["recipe"])
        weights, losses = train(model, self._images, self._labels, recipe, self._rng)
        return Update(
            weights=weights, examples=len(self._labels), metrics={"loss": losses[0]}
        )  # later passes know the examples


def main(arguments: list[str]) -> None:
    """Take part until the project is finished, asked to stop, or left alone by whoever started this."""
    shard, state, url = arguments
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    logging.getLogger("httpx").setLevel(logging.WARNING)
    stop = Stop.on_signals()
    threading.Thread(target=_stop_at_end_of_input, args=(stop,), daemon=True).start()
    run_participant(DigitsParticipant(Path(shard)), url=url, key=os.environ.pop(KEY_VARIABLE), state=state, stop=stop)


def _stop_at_end_of_input(stop: Stop) -> None:
    while sys.stdin.buffer.read(4096):
        pass
    stop.set()


if __name__ == "__main__":
    main(sys.argv[1:])
