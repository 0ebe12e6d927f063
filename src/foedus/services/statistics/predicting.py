"""What a model says of rows: missing values stand for means, or for what the others make likely."""

from typing import Any

import numpy as np

from foedus.core.errors import NotFound, TooLarge
from foedus.core.models import predicted
from foedus.core.statistics import Statistics
from foedus.core.symetryml.frames import Floats, Frame, Letter, numbers
from foedus.ports import Ports
from foedus.records.statistics.models import StatisticsProject
from foedus.services.statistics.answering import ANSWERS
from foedus.services.statistics.encoding import encoded_columns
from foedus.services.statistics.learning import known_letters
from foedus.services.statistics.modelling import find_model, fitted

MAX_ROWS = 1_000_000
_RCOND = 1e-10


def predictions(
    ports: Ports, project: StatisticsProject, model_name: str, value: Any, *, impute: bool = False
) -> list[dict[str, float | str]]:
    """For each row of a DataFrame what the model says. Raises ModelMissing, Invalid."""
    model = fitted(find_model(project, model_name))
    kept = ANSWERS.read(ports, project)
    frame = Frame.of(value, known_letters(kept))
    if frame.rows > MAX_ROWS:
        raise TooLarge(f"a frame to predict has at most {MAX_ROWS} rows", rows=frame.rows)
    columns = inputs_of(project, frame, model.inputs)
    if impute:
        columns = imputed(kept.value, columns, model.inputs, frame.rows)
    if not columns:  # nothing that the model knows: all of it is missing
        columns = {model.inputs[0]: np.full(frame.rows, np.nan)}
    outputs = {name: column.tolist() for name, column in predicted(model, columns).items()}
    return [dict(zip(outputs, row, strict=True)) for row in zip(*outputs.values(), strict=True)]


def inputs_of(project: StatisticsProject, frame: Frame, inputs: tuple[str, ...]) -> dict[str, Floats]:
    """The model's inputs that are in the frame; of a category, whether each row has the input's level."""
    encoded = encoded_columns(project, frame)
    found: dict[str, Floats] = {}
    for name, letter, cells in zip(frame.names, frame.letters, frame.cells, strict=True):
        levels = [each for each in inputs if each.startswith(f"{name}$")]
        if name in inputs and name in encoded:
            found[name] = encoded[name]
        elif name in inputs and letter in (Letter.CONTINUOUS, Letter.BINARY):
            found[name], _ = numbers(name, cells, binary=False)
        elif levels and letter in (Letter.CATEGORY, Letter.STRING):
            texts = [None if cell is None else str(cell).strip().lower() for cell in cells]
            for each in levels:
                level = each.removeprefix(f"{name}$")
                found[each] = np.array([np.nan if not text else float(text == level) for text in texts])
    return found


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
