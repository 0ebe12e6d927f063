"""Arrow record batches as batches of statistics."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from foedus.core.errors import Invalid
from foedus.core.statistics import Batch, Codes, Column, Kind, Patients, Plan, Statistics


@dataclass(frozen=True, slots=True)
class Roles:
    """What columns are. Those not in ``kinds`` are guessed: numbers continuous, truth values binary, text a category.

    ``patient`` names the column of patients' ids, which are hashed with ``key``.
    """

    kinds: Mapping[str, Kind] = field(default_factory=dict)
    ignored: tuple[str, ...] = ()
    patient: str | None = None
    key: bytes = b""

    def kind(self, name: str, of: pa.DataType) -> Kind:
        """Raises Invalid for a type that no kind fits, such as a date."""
        if name in self.kinds:
            return self.kinds[name]
        if pa.types.is_boolean(of):
            return Kind.BINARY
        if pa.types.is_integer(of) or pa.types.is_floating(of) or pa.types.is_decimal(of) or pa.types.is_null(of):
            return Kind.CONTINUOUS
        if is_text(of):
            return Kind.CATEGORY
        raise Invalid(f"column {name!r} is of type {of}; ignore it, or turn it into numbers or text", column=name)

    def wants(self, name: str) -> bool:
        return name not in self.ignored and name != self.patient


def is_text(of: pa.DataType) -> bool:
    if pa.types.is_dictionary(of):
        return is_text(of.value_type)
    return bool(pa.types.is_string(of) or pa.types.is_large_string(of))


def learned(rows: pa.RecordBatch, plan: Plan, roles: Roles) -> Statistics:
    """The statistics of one record batch. Raises Invalid for what cannot be learned."""
    parts: list[Column | Codes] = []
    patients = None
    for name, column in zip(rows.schema.names, rows.columns, strict=True):
        if roles.wants(name):
            parts.append(_part(name, column, roles.kind(name, column.type)))
        elif name == roles.patient:
            patients = Patients.of(pc.cast(column, pa.string()).to_pylist(), roles.key)
    return Statistics.of(Batch(parts, rows.num_rows), plan, patients=patients)


def _part(name: str, column: pa.Array, kind: Kind) -> Column | Codes:
    if kind is Kind.CATEGORY:
        return _codes(name, column)
    if pa.types.is_boolean(column.type) and kind is not Kind.BINARY and column.null_count < len(column):
        raise Invalid(
            f"column {name!r} is {kind} and has truth values, which are no amounts; declare it B", column=name
        )
    try:
        if pa.types.is_boolean(column.type):
            column = pc.cast(column, pa.uint8())
        elif not (pa.types.is_integer(column.type) or pa.types.is_floating(column.type)):
            column = pc.cast(column, pa.float64())
    except pa.ArrowInvalid as exc:
        raise Invalid(f"column {name!r} is {kind} and has a value that is no number: {exc}"[:300], column=name) from exc
    return Column(name, kind, column.to_numpy(zero_copy_only=False))


def _codes(name: str, column: pa.Array) -> Codes:
    """Levels are trimmed and in lower case; an empty text is a missing value."""
    if not is_text(column.type):
        column = pc.cast(column, pa.string())
    found = column if pa.types.is_dictionary(column.type) else pc.dictionary_encode(column)
    texts = ["" if text is None else text.strip().lower() for text in found.dictionary.to_pylist()]
    places = found.indices.fill_null(-1).to_numpy(zero_copy_only=False).astype(np.int64)
    used = sorted({texts[place] for place in np.unique(places[places >= 0])} - {""})
    ranks = {text: rank for rank, text in enumerate(used)}
    table = np.array([*(ranks.get(text, -1) for text in texts), -1], dtype=np.int64)
    return Codes(name, table[places], tuple(used))
