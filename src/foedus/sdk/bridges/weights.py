"""What other systems hand back, in the words of an ``Update``."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from foedus.core.errors import Invalid
from foedus.sdk.training import Model


def named(arrays: Iterable[Any]) -> dict[str, np.ndarray[Any, Any]]:
    """A list of arrays as a model whose names keep their order, ``000`` and so on: for systems that know no names."""
    return {f"{number:03}": np.asarray(array) for number, array in enumerate(arrays)}


def copies(model: Model) -> list[np.ndarray[Any, Any]]:
    """The model as a list in the order of its names, which for those of ``named`` is the list's; free to be changed."""
    return [np.array(model[name]) for name in sorted(model)]


def renamed(model: Model, arrays: Sequence[Any]) -> dict[str, Any]:
    """A list as ``copies`` gives it with the model's names again. Raises Invalid when it is longer or shorter."""
    if len(arrays) != len(model):
        raise Invalid(f"the model has {len(model)} arrays, and training handed back {len(arrays)}")
    return dict(zip(sorted(model), arrays, strict=True))


def numbers(metrics: Mapping[str, Any] | None) -> dict[str, float]:
    """The metrics that are single numbers; others have no mean over participants."""
    found = {str(name): value for name, value in (metrics or {}).items()}
    return {n: float(v) for n, v in found.items() if isinstance(v, int | float | np.number) and not isinstance(v, bool)}
