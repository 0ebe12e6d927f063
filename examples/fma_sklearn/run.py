"""FMA with scikit-learn: FOEDUS_URL=... FOEDUS_OPERATOR_TOKEN=... python run.py

Five clinics tell tumours apart by 30 measurements. Each has few patients of a kind, and shows none to anybody: what
travels are a classifier's coefficients. Needs the extra ``sklearn``.
"""

import os
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from sklearn.datasets import load_breast_cancer
from sklearn.linear_model import SGDClassifier

from foedus.sdk import FmaClient, FmaDeveloper

CLINICS, ROUNDS, EPOCHS = 5, 6, 3
rows, labels = load_breast_cancer(return_X_y=True)
rows = np.log1p(rows) - 2.0  # one scale, by numbers that all agree on
order = np.random.default_rng(7).permutation(len(labels))
TEST, SHARES = order[:200], np.array_split(order[200:], CLINICS)


def patients(clinic: int) -> np.ndarray:
    """All that have what this clinic is known for, and five others."""
    share, known = SHARES[clinic], labels[SHARES[clinic]] == clinic % 2
    return np.concatenate([share[known], share[~known][:5]])


def classifier(clinic: int = 0) -> SGDClassifier:
    model = SGDClassifier(loss="log_loss", learning_rate="constant", eta0=0.02, random_state=clinic)
    return model.partial_fit(rows[:1] * 0.0, labels[:1], classes=[0, 1])  # gives it its arrays


def train(url: str, model: int, clinic: int) -> tuple[float, float]:
    """The accuracy on the test patients of the aggregate, and of what this clinic learns alone."""
    mine, alone, shared = patients(clinic), classifier(clinic), classifier(clinic)
    with FmaClient(url, model, keep=f"clinic-{clinic}.uuid") as client:
        latest = client.pull(into=shared)
        for _ in range(ROUNDS):
            for learner in [shared, alone] * EPOCHS:
                learner.partial_fit(rows[mine], labels[mine])
            client.push(shared, latest.aggregate)
            latest = client.pull(into=shared, newer_than=latest.aggregate or 0, within_s=120)
            client.score({"accuracy": shared.score(rows[mine], labels[mine])}, latest.aggregate)
    return shared.score(rows[TEST], labels[TEST]), alone.score(rows[TEST], labels[TEST])


def main(url: str, token: str) -> tuple[float, float]:
    """The accuracy of the aggregate, and the mean of those that the clinics reach alone."""
    with FmaDeveloper(url, token) as owner, ThreadPoolExecutor(CLINICS) as threads:
        model = owner.create_model("tumours", classifier(), requirement="require_x_updates", requirement_args=[CLINICS])
        found = list(threads.map(lambda clinic: train(url, model, clinic), range(CLINICS)))
        owner.publish(owner.aggregates(model)[0]["id"], "1.1.0")
    return found[0][0], float(np.mean([alone for _, alone in found]))


if __name__ == "__main__":
    print("together {:.3f}, alone {:.3f}".format(*main(os.environ["FOEDUS_URL"], os.environ["FOEDUS_OPERATOR_TOKEN"])))
