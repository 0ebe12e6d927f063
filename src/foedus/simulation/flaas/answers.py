"""What the app reads out of a server's answers, and what it cannot read."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal, InvalidOperation
from typing import Any, Self

from foedus.core.codecs import strict_json
from foedus.core.errors import Invalid
from foedus.core.fleet.modes import DatasetType, TrainingMode

MAX_DEPTH = 8
_DATE = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,6})?(Z|[+-]\d\d:\d\d)", re.ASCII)
_DECIMAL = re.compile(r"-?\d+(\.\d+)?", re.ASCII)


class Unreadable(Invalid):
    """The app cannot read this answer and gives up without a word."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RoundAnswer:
    """What join-round tells a phone about the round: how much to train, on what, and with which seed."""

    model: str
    dataset: str
    dataset_type: DatasetType
    training_mode: TrainingMode
    status: int
    round_number: int
    number_of_samples: int
    number_of_epochs: int
    seed: int
    create_date: datetime | None
    start_training_date: datetime | None
    stop_training_date: datetime | None

    @classmethod
    def read(cls, body: bytes) -> Self:
        fields = json_object(body)
        return cls(
            model=text(fields, "model"),
            dataset=text(fields, "dataset"),
            dataset_type=DatasetType(_one_of(fields, "dataset_type", tuple(DatasetType))),
            training_mode=TrainingMode(_one_of(fields, "training_mode", tuple(TrainingMode))),
            status=integer(fields, "status"),
            round_number=integer(fields, "round_number"),
            number_of_samples=integer(fields, "number_of_samples"),
            number_of_epochs=integer(fields, "number_of_epochs"),
            seed=integer(fields, "seed"),
            create_date=date(fields, "create_date"),
            start_training_date=date(fields, "start_training_date"),
            stop_training_date=date(fields, "stop_training_date"),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class ProjectAnswer:
    """A project as the app declares it. It never asks for one; tests and tools do."""

    id: int
    title: str
    status: str
    current_round: int
    number_of_rounds: int
    responses_ratio_threshold: Decimal
    valid_round_training_threshold: Decimal
    battery_level_threshold: Decimal
    create_date: datetime | None

    @classmethod
    def read(cls, fields: Mapping[str, Any]) -> Self:
        return cls(
            id=integer(fields, "id"),
            title=text(fields, "title"),
            status=text(fields, "status"),
            current_round=integer(fields, "current_round"),
            number_of_rounds=integer(fields, "number_of_rounds"),
            responses_ratio_threshold=decimal(fields, "responses_ratio_threshold"),
            valid_round_training_threshold=decimal(fields, "valid_round_training_threshold"),
            battery_level_threshold=decimal(fields, "battery_level_threshold"),
            create_date=date(fields, "create_date"),
        )


def json_value(body: bytes) -> Any:
    try:
        return strict_json.parse(body, max_depth=MAX_DEPTH)
    except Invalid as exc:
        raise Unreadable(exc.message) from exc


def json_object(body: bytes) -> Mapping[str, Any]:
    found = json_value(body)
    if not isinstance(found, dict):
        raise Unreadable("a JSON object was expected")
    return found


def text(fields: Mapping[str, Any], name: str) -> str:
    found = fields.get(name)
    if not isinstance(found, str):
        raise Unreadable(f"{name} is a string, not {str(found)[:40]!r}", field=name)
    return found


def integer(fields: Mapping[str, Any], name: str) -> int:
    """The app takes numbers out of their boxes without looking whether there is one: null ends it."""
    found = fields.get(name)
    if type(found) is not int:
        raise Unreadable(f"{name} is an integer, not {str(found)[:40]!r}", field=name)
    return found


def decimal(fields: Mapping[str, Any], name: str) -> Decimal:
    """Decimals travel as strings, so that nothing rounds them."""
    found = text(fields, name)
    try:
        if _DECIMAL.fullmatch(found):
            return Decimal(found)
    except InvalidOperation as exc:
        raise Unreadable(f"{name} has too many digits", field=name) from exc
    raise Unreadable(f"{name} is a decimal number, not {found[:40]!r}", field=name)


def date(fields: Mapping[str, Any], name: str) -> datetime | None:
    """ISO 8601 with its zone, up to microseconds; null is fine. Without a zone the app's JSON library throws."""
    found = fields.get(name)
    if found is None:
        return None
    try:
        if isinstance(found, str) and _DATE.fullmatch(found):
            return datetime.fromisoformat(found)
    except ValueError as exc:
        raise Unreadable(f"{name}: {exc}", field=name) from exc
    raise Unreadable(f"{name} is a date and time with its zone, not {str(found)[:40]!r}", field=name)


def _one_of(fields: Mapping[str, Any], name: str, known: tuple[str, ...]) -> str:
    found = text(fields, name)
    if found not in known:
        raise Unreadable(f"{name} is one of {', '.join(known)}, not {found[:40]!r}", field=name)
    return found
