"""What is wrong with a call about federated models, by the field that it is wrong with."""

from typing import Any

from foedus.core.errors import Invalid

CROSS_FIELD = "non_field_errors"


class FieldInvalid(Invalid):
    """A field is not valid."""

    def __init__(self, field: str, message: str) -> None:
        super().__init__(message, field=field)
        self.field = field


def missing_reference(field: str, key: Any) -> FieldInvalid:
    """What is said of something that is not there, or not for the one who asks."""
    return FieldInvalid(field, f'Invalid pk "{key}" - object does not exist.')
