"""Run a project from its first model to its release: FOEDUS_URL=... FOEDUS_OPERATOR_TOKEN=... python run.py

It prints a key for each participant, which examples/numpy_participant takes, and says what happens until the project
is finished. Then it measures the last checkpoint on digits that no participant has, and releases it.
"""

import os
from collections.abc import Callable

import numpy as np

from foedus.sdk import EnrolmentKey, Operator
from foedus.simulation.datasets import CLASSES, PIXELS, load_digits

PROJECT = "digits-softmax"


def hand_out(keys: tuple[EnrolmentKey, ...]) -> None:
    """In earnest: over a channel you trust, one key to each participant."""
    for key in keys:
        print(f"{key.name}: FOEDUS_KEY={key.key}")


def accuracy(operator: Operator, checkpoint: int) -> float:
    model, digits = operator.download(PROJECT, checkpoint), load_digits()
    guesses = np.argmax(digits.test_images @ model["weights"] + model["bias"], axis=1)
    return float(np.mean(guesses == digits.test_labels))


def main(
    url: str,
    token: str,
    participants: int = 2,
    rounds: int = 5,
    hand_out: Callable[[tuple[EnrolmentKey, ...]], None] = hand_out,
) -> float:
    with Operator(url, token) as operator:
        policy = {"name": "quorum", "options": {"minimum": participants, "rounds": rounds}}
        operator.create_project(PROJECT, policy=policy, settings={"learning_rate": 0.1, "epochs": 2})
        zeros = {"weights": np.zeros((PIXELS, CLASSES), np.float32), "bias": np.zeros(CLASSES, np.float32)}
        operator.put_model(PROJECT, zeros)
        hand_out(operator.enrolment_keys(PROJECT, participants, name="site"))
        for event in operator.events(PROJECT, after=0):
            print(event.kind, dict(event.data))
            if event.kind == "project.finished":
                break
        latest = operator.checkpoint(PROJECT)
        score = accuracy(operator, latest.number)
        operator.report_score(PROJECT, latest.number, {"accuracy": score}, examples=1000)
        operator.publish_artifact(PROJECT, latest.number, version="1.0")
        return score


if __name__ == "__main__":
    print(f"accuracy {main(os.environ['FOEDUS_URL'], os.environ['FOEDUS_OPERATOR_TOKEN']):.3f}")
