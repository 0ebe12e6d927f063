"""What a model says of rows: missing values stand for means, or for what the others make likely."""

from typing import Any

import numpy as np

from foedus.core.companions.answers import answers_of
from foedus.core.errors import NotFound, TooLarge
from foedus.core.models import predicted
from foedus.core.statistics import Statistics
from foedus.core.symetryml.frames import Floats
from foedus.core.symetryml.inputs import inputs_of
from foedus.ports import Ports
from foedus.records.statistics.models import StatisticsProject
from foedus.services.statistics import learning, watching
from foedus.services.statistics.answering import ANSWERS
from foedus.services.statistics.encoding import encoded_columns
from foedus.services.statistics.modelling import find_model, fitted

MAX_ROWS = 1_000_000
_RCOND = 1e-10


def predictions(
    ports: Ports, project: StatisticsProject, model_name: str, value: Any, *, impute: bool = False
) -> list[dict[str, float | str]]:
    """For each row of a DataFrame what the model says. Raises ModelMissing, Invalid."""
    row = find_model(project, model_name)
    if row.algorithm == watching.ALGORITHM:
        return watching.judged(row, predictions(ports, project, watching.watched_name(row), value, impute=impute))
    model, kept = fitted(row), ANSWERS.read(ports, project)
    frame = learning.frame_of(project, value, kept)
    if frame.rows > MAX_ROWS:
        raise TooLarge(f"a frame to predict has at most {MAX_ROWS} rows", rows=frame.rows)
    answers = answers_of(model, frame)
    if answers is not None:
        return answers
    columns = inputs_of(frame, model.inputs, encoded_columns(project, frame))
    if impute:
        columns = imputed(kept.value, columns, model.inputs, frame.rows)
    if not columns:  # nothing that the model knows: all of it is missing
        columns = {model.inputs[0]: np.full(frame.rows, np.nan)}
    outputs = {name: column.tolist() for name, column in predicted(model, columns).items()}
    return [dict(zip(outputs, row, strict=True)) for row in zip(*outputs.values(), strict=True)]


def imputed(
    statistics: Statistics, columns: dict[str, Floats], inputs: tuple[str, ...], rows: int
) -> dict[str, Floats]:
    """All inputs, a missing one as the regression on those that its row has: mu_m + C_mo C_oo^-1 (x_o - mu_o)."""
    view = statistics.view(list(inputs))
    try:
        mean, covariance = view.mean, np.nan_to_num(view.covariance())
    except NotFound:
        return columns
    values = np.column_stack([columns.get(name, np.full(rows, np.nan)) for name in inputs])
    missing = np.isnan(values)
    for pattern in np.unique(missing, axis=0):
        which = (missing == pattern).all(axis=1)
        seen = ~pattern
        guess = np.broadcast_to(mean[pattern], (int(which.sum()), int(pattern.sum())))
        if seen.any() and pattern.any():
            slope = covariance[np.ix_(pattern, seen)] @ np.linalg.pinv(covariance[np.ix_(seen, seen)], rcond=_RCOND)
            guess = guess + (values[np.ix_(which, seen)] - mean[seen]) @ slope.T
        values[np.ix_(which, pattern)] = guess
    return {name: values[:, place] for place, name in enumerate(inputs)}
