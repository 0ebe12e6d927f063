"""Models that a server built from statistics, as a site sees them."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from foedus.sdk.tables import Kinds, columns_of

CELLS = 20_000  # of one call: their JSON stays well below a mebibyte


@dataclass(frozen=True, slots=True)
class BuiltModel:
    """``version`` is that of the statistics it was built from; ``fitted`` all its numbers, None in lists of models."""

    name: str
    algorithm: str
    inputs: tuple[str, ...]
    targets: tuple[str, ...]
    options: Mapping[str, Any]
    version: int
    build_s: float
    fitted: Mapping[str, Any] | None

    @classmethod
    def of(cls, value: Mapping[str, Any]) -> Self:
        return cls(
            name=value["name"], algorithm=value["algorithm"], inputs=tuple(value["inputs"]),
            targets=tuple(value["targets"]), options=value["options"], version=value["version"],
            build_s=value["build_s"], fitted=value["fitted"],
        )  # fmt: skip


def blocks_of(rows: Any, kinds: Kinds) -> Iterator[dict[str, list[Any]]]:
    """Rows as columns that JSON has, block by block; missing values are null. Raises Invalid."""
    columns = {name: column for name, column in columns_of(rows).items() if kinds.get(name) != "ignored"}
    size = max(map(len, columns.values()), default=0)
    step = max(1, CELLS // max(1, len(columns)))
    for start in range(0, size, step):
        yield {
            name: [_cell(value) for value in column[start : start + step].tolist()] for name, column in columns.items()
        }


def joined(blocks: list[Mapping[str, list[Any]]]) -> dict[str, NDArray[Any]]:
    """Outputs by name: numbers, NaN where there is none, or texts."""
    names = blocks[0] if blocks else {}
    return {name: _array([value for block in blocks for value in block[name]]) for name in names}


def _cell(value: Any) -> Any:
    if isinstance(value, float) and value != value:  # noqa: PLR0124 - NaN alone differs from itself
        return None
    return value if value is None or isinstance(value, bool | int | float | str) else str(value)


def _array(values: list[Any]) -> NDArray[Any]:
    if any(isinstance(value, str) for value in values):
        return np.array(values, dtype=np.str_)
    return np.array([np.nan if value is None else value for value in values], dtype=np.float64)
