"""What an operator may set of a project, checked field by field with every complaint at once."""

from collections.abc import Mapping
from typing import Any

from django.core.exceptions import ValidationError
from django.db import models

from foedus.core.errors import Invalid
from foedus.core.fleet.expiry import MAX_MINUTES
from foedus.core.fleet.layouts import fleet_model
from foedus.core.folding import Kind
from foedus.core.registry import build
from foedus.core.strategies.strategy import needs_of
from foedus.records.fleet.models import FleetProject
from foedus.services.fleet.status import Status

STATUS = "status"
_COLUMNS: Mapping[str, "models.Field[Any, Any]"] = {
    field.name: field
    for field in FleetProject._meta.concrete_fields  # noqa: SLF001 - Django's documented way to them
    if field.name != "project"
}
EDITABLE = tuple(_COLUMNS)
_REQUIRED = ("title", "dataset_type", "training_mode")
_LARGEST = 2**31 - 1  # of phones, which count in signed 32 bits
_RANGES: Mapping[str, tuple[int, int]] = {
    "number_of_rounds": (1, _LARGEST),
    "number_of_apps": (0, _LARGEST),
    "number_of_samples": (1, _LARGEST),
    "number_of_epochs": (1, _LARGEST),
    "max_training_time": (1, MAX_MINUTES),
    "seed": (0, _LARGEST),
    "minimum_devices": (1, _LARGEST),
    "max_invalid_rounds": (1, _LARGEST),
}


class BadFields(Invalid):
    """Some fields cannot be taken; ``errors`` has a list of messages for each."""

    def __init__(self, errors: Mapping[str, list[str]]) -> None:
        first, messages = next(iter(errors.items()))
        super().__init__(f"{first}: {messages[0]}", errors=dict(errors))
        self.errors = dict(errors)


def fill(fleet: FleetProject, values: Mapping[str, Any], *, partial: bool) -> Status | None:
    """Put ``values`` into the row, without saving it; the status asked for, if any. Raises BadFields.

    What is unknown or read-only is passed over. Without ``partial`` what has no default must be there.
    """
    errors: dict[str, list[str]] = {}
    if not partial:
        errors.update({name: ["This field is required."] for name in _REQUIRED if name not in values})
    for name, field in _COLUMNS.items():
        if name in values and name not in errors:
            try:
                setattr(fleet, name, _plain(field, values[name]))
            except ValidationError as exc:
                errors[name] = exc.messages
    status = _status(values, errors)
    _check(fleet, errors)
    if errors:
        raise BadFields(errors)
    return status


def _plain(field: "models.Field[Any, Any]", value: Any) -> Any:
    """``value`` if it is of the type that JSON has for the field. Raises ValidationError."""
    if value is None:
        if not field.null:
            raise ValidationError("This field may not be null.")
        return None
    if isinstance(value, str) and "\0" in value:
        raise ValidationError("Null characters are not allowed.")
    if isinstance(value, bool) is not isinstance(field, models.BooleanField) and not isinstance(value, str):
        raise ValidationError("Must be a valid boolean." if isinstance(field, models.BooleanField) else "Not valid.")
    if isinstance(value, list | dict | bytes):
        raise ValidationError("Not valid.")
    if isinstance(field, models.IntegerField) and isinstance(value, float) and not value.is_integer():
        raise ValidationError("A valid integer is required.")
    return field.clean(value, None) if not isinstance(field, models.CharField | models.TextField) else str(value)


def _status(values: Mapping[str, Any], errors: dict[str, list[str]]) -> Status | None:
    if STATUS not in values:
        return None
    try:
        return Status(values[STATUS])
    except ValueError:
        errors[STATUS] = [f'"{str(values[STATUS])[:40]}" is not a valid choice.']
        return None


def _check(fleet: FleetProject, errors: dict[str, list[str]]) -> None:
    """Add what is wrong with the row as a whole to ``errors``."""
    try:
        fleet.full_clean(exclude=["project", *errors])
    except ValidationError as exc:
        errors.update(exc.message_dict)
    try:
        needs = needs_of(build("foedus.strategies", fleet.strategy, {}))
    except Invalid as exc:
        errors.setdefault("strategy", [exc.message])
    else:
        if needs.returned or needs.metrics or needs.kind is Kind.DELTA:
            errors.setdefault("strategy", [f"{fleet.strategy} needs more than the whole weights that phones send."])
    for name, (low, high) in _RANGES.items():
        value = getattr(fleet, name)
        if name not in errors and value is not None and not low <= value <= high:
            errors[name] = [f"Ensure this value is {low} to {high}."]
    if "model" not in errors:
        _check_model(fleet, errors)


def _check_model(fleet: FleetProject, errors: dict[str, list[str]]) -> None:
    try:
        model = fleet_model(fleet.model)
    except Invalid as exc:
        errors["model"] = [exc.message]
        return
    if "dataset" not in errors and fleet.dataset != model.dataset:
        errors["dataset"] = [f"The model {fleet.model} is trained on {model.dataset}."]
