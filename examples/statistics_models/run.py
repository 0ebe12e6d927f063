"""Two hospitals, one model, no rows exchanged: python run.py [FOLDER]

Each learns statistics of its own tumours. Merged, they are explored and a model is built; rows that neither learned
choose its inputs, and others judge it. Writes model.json, model.onnx and plots.png. Extras ``sklearn``, ``plots``.
"""

import sys
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from sklearn.datasets import load_breast_cancer

from foedus.core.exploration import Query, explore, rounded
from foedus.core.exploration.components import principal_components, without_singular
from foedus.core.models import Task, document, predicted
from foedus.core.models.assessment import Roc, roc
from foedus.core.models.export import onnx
from foedus.core.models.selection import InputSelection, Jury
from foedus.core.statistics import Batch, Column, Kind, Statistics, Table

DATA = load_breast_cancer()
NAMES = tuple(name.replace(" ", "_") for name in DATA.feature_names)


def hospital(rows: np.ndarray) -> Statistics:  # all that leaves a hospital
    numbers = Table(NAMES, (Kind.CONTINUOUS,) * 30, DATA.data[rows])
    return Statistics.of(Batch([numbers, Column("benign", Kind.BINARY, DATA.target[rows])]))


def frame_of(rows: np.ndarray) -> dict[str, np.ndarray]:
    return dict(zip(NAMES, DATA.data[rows].T, strict=True)) | {"benign": DATA.target[rows]}


def plots(path: Path, both: Statistics, curve: Roc) -> None:
    correlation, components, judged = (figure := Figure(figsize=(15, 4.5), layout="constrained")).subplots(1, 3)
    correlation.imshow(both.view(NAMES).correlation(), vmin=-1, vmax=1, cmap="RdBu")  # red is negative
    components.bar(range(1, 31), principal_components(both, NAMES).values / 30)
    judged.plot(curve.false_positive, curve.true_positive)
    figure.suptitle("Correlations, shares of variance of components, ROC")
    figure.savefig(path)


def main(folder: Path) -> float:
    choosing, judging = np.split(np.random.default_rng(0).permutation(len(DATA.data)), [480])
    both = hospital(choosing[:200]).merge(hospital(choosing[200:400]))
    print(rounded(explore("bi", both, Query(("worst_radius", "benign")))))
    task = Task(tuple(without_singular(both, NAMES, 0.02)), ("benign",))
    choice = InputSelection().select(both, "lda", {}, task, Jury(frame_of(choosing[400:]), task.targets, "auc"))
    (folder / "model.json").write_bytes(document.encode("lda", choice.model))
    (folder / "model.onnx").write_bytes(onnx.encode(choice.model))
    curve = roc(DATA.target[judging], predicted(choice.model, frame_of(judging))["resZ"])
    print(choice.tried, "models tried, area", curve.auc, "with", *choice.model.inputs)
    plots(folder / "plots.png", both, curve)
    return curve.auc


if __name__ == "__main__":
    main(Path(*sys.argv[1:2]))
