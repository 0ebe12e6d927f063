"""Encoders: text of very many values becomes a number, the mean of a target among the rows that had the value.

An encoder keeps, for each attribute and value, a count and a sum; both add up, so that encoders merge exactly.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import numpy as np
from django.db import IntegrityError, transaction
from django.db.models import QuerySet

from foedus.core.errors import Invalid, TooLarge
from foedus.core.symetryml.frames import Floats, Frame, Letter, numbers
from foedus.records.customers.models import Customer
from foedus.records.statistics.models import Encoder, StatisticsProject
from foedus.services.statistics.errors import EncoderMissing, EncoderTaken

MAX_VALUES = 200_000  # of one encoder
_TEXTS = (Letter.STRING, Letter.LIST, Letter.CATEGORY)


def create_encoder(customer: Customer, name: str, target: str, target_type: str, *, now: datetime) -> Encoder:
    """An encoder that has seen nothing. Raises Invalid, EncoderTaken."""
    if not name or not target:
        raise Invalid("an encoder has a name and a target: encodername, encoderTarget")
    if target_type not in ("C", "B"):
        raise Invalid("targetType is C or B")
    try:
        with transaction.atomic():
            return Encoder.objects.create(
                customer=customer, name=name[:200], target=target, target_type=target_type, created_at=now
            )
    except IntegrityError:
        raise EncoderTaken(encoder=name) from None


def find_encoder(customer: Customer, name: str) -> Encoder:
    """Raises EncoderMissing."""
    row = Encoder.objects.filter(customer=customer, name=name).first()
    if row is None:
        raise EncoderMissing(encoder=name[:200])
    return row


def list_encoders(customer: Customer) -> QuerySet[Encoder]:
    return Encoder.objects.filter(customer=customer).order_by("name")


def delete_encoder(customer: Customer, name: str) -> None:
    """Projects that use it learn its attributes no more. Raises EncoderMissing."""
    find_encoder(customer, name).delete()


@dataclass(slots=True)
class Values:
    """What frames say of text attributes: for each attribute and value a count, and the sum of the target."""

    target: str
    target_type: str
    rows: int = 0
    seen: dict[str, dict[str, list[float]]] = field(default_factory=dict)

    def take(self, value: Any) -> None:
        """Raises Invalid, TooLarge."""
        frame = Frame.of(value)
        cells = frame.column(self.target)
        if cells is None:
            raise Invalid(f"the encoder's target {self.target!r} is not in the frame")
        target, _ = numbers(self.target, cells, binary=self.target_type == "B")
        for attribute, letter, column in zip(frame.names, frame.letters, frame.cells, strict=True):
            if letter in _TEXTS and attribute != self.target:
                _add(self.seen.setdefault(attribute, {}), column, target)
        _check_size(self.seen)
        self.rows += frame.rows


def learn_values(customer: Customer, name: str, value: Any) -> None:
    """Count the values of a frame's text attributes, with the target that their rows have. Raises Invalid, TooLarge."""
    encoder = find_encoder(customer, name)
    found = Values(encoder.target, encoder.target_type)
    found.take(value)
    with transaction.atomic():
        add_values(customer, name, found)


def add_values(customer: Customer, name: str, found: Values) -> None:
    """Add, in the caller's transaction. Raises EncoderMissing, TooLarge."""
    row = Encoder.objects.select_for_update().filter(customer=customer, name=name).first()
    if row is None:
        raise EncoderMissing(encoder=name[:200])
    for attribute, values in found.seen.items():
        mine = row.values.setdefault(attribute, {})
        for key, (count, total) in values.items():
            before = mine.get(key, [0, 0.0])
            mine[key] = [before[0] + count, before[1] + total]
    _check_size(row.values)
    row.version += 1
    row.save(update_fields=["values", "version"])


def set_value(customer: Customer, name: str, attribute: str, value: str, count: float, total: float) -> None:
    """Write one entry by hand. Raises EncoderMissing, Invalid."""
    set_values(customer, name, {attribute: {value: [count, total]}})


def set_values(customer: Customer, name: str, value: Any) -> None:
    """Write attributes by hand, ``{attribute: {value: [count, sum]}}``. Raises EncoderMissing, Invalid, TooLarge."""
    entries = _entries(value)
    with transaction.atomic():
        row = Encoder.objects.select_for_update().filter(customer=customer, name=name).first()
        if row is None:
            raise EncoderMissing(encoder=name[:200])
        for attribute, seen in entries.items():
            row.values.setdefault(attribute, {}).update(seen)
        _check_size(row.values)
        row.version += 1
        row.save(update_fields=["values", "version"])


def assign_encoder(project: StatisticsProject, name: str, *, now: datetime) -> None:
    """Have a project turn its text attributes into numbers by this encoder. Raises EncoderMissing."""
    find_encoder(project.customer, name)
    StatisticsProject.objects.filter(pk=project.pk).update(encoder=name, modified_at=now)


def encoded_columns(project: StatisticsProject, frame: Frame) -> Mapping[str, Floats]:
    """A frame's text attributes as numbers, by the project's encoder; a value that it never saw is its overall mean."""
    if not project.encoder:
        return {}
    encoder = Encoder.objects.filter(customer_id=project.customer_id, name=project.encoder).first()
    if encoder is None:
        return {}
    return {
        name: _means(encoder.values[name], cells)
        for name, letter, cells in zip(frame.names, frame.letters, frame.cells, strict=True)
        if letter in (Letter.STRING, Letter.LIST) and encoder.values.get(name)
    }


def _check_size(values: Mapping[str, Mapping[str, Any]]) -> None:
    if sum(map(len, values.values())) > MAX_VALUES:
        raise TooLarge(f"an encoder keeps at most {MAX_VALUES} values")


def _entries(value: Any) -> dict[str, dict[str, list[float]]]:
    if not isinstance(value, dict) or not all(isinstance(seen, dict) for seen in value.values()):
        raise Invalid("key values are an object of attributes, each an object of values: [count, sum]")
    return {
        attribute[:512]: {_key(key): _entry(key, entry) for key, entry in seen.items()}
        for attribute, seen in value.items()
    }


def _entry(key: str, value: Any) -> list[float]:
    try:
        count, total = (float(each) for each in value)
    except (TypeError, ValueError):
        raise Invalid(f"the entry of {key[:80]!r} must be [count, sum]") from None
    if not (np.isfinite(count) and np.isfinite(total) and count >= 0):
        raise Invalid(f"the entry of {key[:80]!r} needs a count from 0 on and a finite sum")
    return [count, total]


def _add(values: dict[str, list[float]], cells: Any, target: Floats) -> None:
    for cell, y in zip(cells, target, strict=True):
        if cell is None or np.isnan(y):
            continue
        for part in _parts(cell):
            entry = values.setdefault(part, [0, 0.0])
            entry[0] += 1
            entry[1] += float(y)


def _means(values: Mapping[str, list[float]], cells: Any) -> Floats:
    count = sum(entry[0] for entry in values.values())
    overall = sum(entry[1] for entry in values.values()) / count if count else np.nan
    return np.array([_mean(values, cell, overall) for cell in cells], dtype=np.float64)


def _mean(values: Mapping[str, list[float]], cell: Any, overall: float) -> float:
    if cell is None or not str(cell).strip():
        return np.nan
    found = [values[part] for part in _parts(cell) if values.get(part, [0])[0]]
    return sum(total / count for count, total in found) / len(found) if found else overall


def _parts(cell: Any) -> list[str]:
    """The values in a cell: one text, or those of a list ``|a|b|``."""
    text = _key(cell)
    return [part for part in text.split("|") if part] if text.startswith("|") else [text]


def _key(cell: Any) -> str:
    return str(cell).strip().lower()[:256]
