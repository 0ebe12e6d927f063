"""A classifier of scikit-learn: FOEDUS_URL=... FOEDUS_KEY=... python run.py [SITE SITES]

Tumours are told apart by 30 measurements; SITE of SITES says which share of them is "here". What travels are the
coefficients and the intercept. Needs the extra ``sklearn``; ``first_model`` is what an operator begins with.
"""

import os
import sys
from collections.abc import Mapping
from typing import Any

import numpy as np
from sklearn.datasets import load_breast_cancer
from sklearn.linear_model import SGDClassifier

from foedus.sdk import Evaluation, Outcome, Update, run_participant


def first_model() -> dict[str, np.ndarray]:
    return {"coef": np.zeros((1, 30)), "intercept": np.zeros(1)}


class Site:
    """Goes on with scikit-learn's stochastic gradient descent from wherever the project is."""

    def __init__(self, site: int, sites: int) -> None:
        rows, labels = load_breast_cancer(return_X_y=True)
        # Measurements are brought to one scale by numbers all sites agree on, not by those of a site.
        self.rows, self.labels = np.log1p(rows)[site::sites] - 2.0, labels[site::sites]
        self.classifier = SGDClassifier(loss="log_loss", learning_rate="constant", eta0=0.02, random_state=site)
        self.classifier.partial_fit(self.rows[:1], self.labels[:1], classes=[0, 1])  # gives it its arrays

    def take(self, model: Mapping[str, np.ndarray]) -> None:
        self.classifier.coef_ = model["coef"].copy()
        self.classifier.intercept_ = model["intercept"].copy()

    def train(self, model: Mapping[str, np.ndarray], settings: Mapping[str, Any]) -> Update:
        self.take(model)
        for _ in range(settings.get("epochs", 5)):
            self.classifier.partial_fit(self.rows, self.labels)
        weights = {"coef": self.classifier.coef_, "intercept": self.classifier.intercept_}
        return Update(weights, examples=len(self.labels))

    def evaluate(self, model: Mapping[str, np.ndarray], _settings: Mapping[str, Any]) -> Evaluation:
        self.take(model)
        return Evaluation({"accuracy": self.classifier.score(self.rows, self.labels)}, examples=len(self.labels))


def main(url: str, key: str, site: int = 0, sites: int = 2) -> Outcome:
    return run_participant(Site(site, sites), url=url, key=key, state=f"participant-{site}")


if __name__ == "__main__":
    print(main(os.environ["FOEDUS_URL"], os.environ["FOEDUS_KEY"], *map(int, sys.argv[1:])))
