"""Fields of a call, read one by one; what is wrong with them is collected and said all at once."""

from collections.abc import Iterable, Mapping
from contextlib import suppress
from math import isfinite
from typing import Any
from uuid import UUID

from foedus.core.codecs import strict_json
from foedus.core.errors import Invalid
from foedus.faces.fma.errors import BadFields
from foedus.records.accounts.models import User
from foedus.records.aggregation.models import Client

MAX_INTEGER = 2**31 - 1
MAX_ID = 2**63 - 1
_MAX_JSON_DEPTH = 64
_TRUE = ("t", "y", "yes", "true", "on", "1")
_FALSE = ("f", "n", "no", "false", "off", "0")


class Missing:
    """A field that was not sent."""


MISSING = Missing()
REQUIRED = "This field is required."
NOT_NULL = "This field may not be null."


class Fields:
    """``values`` by name, texts where they come from a form. ``partial``: nothing is required (PATCH)."""

    def __init__(self, values: Mapping[str, Any], *, partial: bool = False, is_form: bool = False) -> None:
        self._values = values
        self._partial = partial
        self._is_form = is_form
        self.errors: dict[str, list[str]] = {}

    def done(self) -> None:
        """Raise BadFields if anything was wrong."""
        if self.errors:
            raise BadFields(self.errors)

    def fail(self, name: str, message: str) -> Missing:
        self.errors.setdefault(name, []).append(message)
        return MISSING

    def text(self, name: str, *, max_characters: int = 255, required: bool = False, blank: bool = False) -> Any:
        value = self._get(name, required=required)
        if isinstance(value, Missing):
            return value
        if isinstance(value, bool) or not isinstance(value, str | int | float):
            return self.fail(name, "Not a valid string.")
        text = str(value).strip()
        if not text and not blank:
            return self.fail(name, "This field may not be blank.")
        if len(text) > max_characters:
            return self.fail(name, f"Ensure this field has no more than {max_characters} characters.")
        if not _is_storable(text):
            return self.fail(name, "Null characters are not allowed.")
        return text

    def integer(self, name: str, *, least: int, most: int, null: bool = True) -> Any:
        value = self._get(name, null=null)
        if value is None or isinstance(value, Missing) or (self._is_form and value == ""):
            return None if value == "" else value
        number = _integer(value)
        if number is None:
            return self.fail(name, "A valid integer is required.")
        if number < least:
            return self.fail(name, f"Ensure this value is greater than or equal to {least}.")
        if number > most:
            return self.fail(name, f"Ensure this value is less than or equal to {most}.")
        return number

    def number(self, name: str, *, positive: bool = False) -> Any:
        value = self._get(name, null=True)
        if value is None or isinstance(value, Missing) or (self._is_form and value == ""):
            return None if value == "" else value
        if not isinstance(value, bool) and isinstance(value, str | int | float):
            with suppress(ValueError, OverflowError):
                number = float(value)
                if positive and number <= 0:
                    return self.fail(name, "Ensure this value is greater than 0.")
                if isfinite(number):
                    return number
        return self.fail(name, "A valid number is required.")

    def boolean(self, name: str) -> Any:
        value = self._get(name)
        if isinstance(value, bool | Missing):
            return value
        word = str(value).lower()
        if word in _TRUE or word in _FALSE:
            return word in _TRUE
        return self.fail(name, "Must be a valid boolean.")

    def json(self, name: str, *, null: bool = True, required: bool = False) -> Any:
        value = self._get(name, null=null, required=required)
        if self._is_form and isinstance(value, str):
            try:
                value = strict_json.parse(value.encode(), max_depth=_MAX_JSON_DEPTH)
            except Invalid:
                return self.fail(name, "Value must be valid JSON.")
        if not isinstance(value, Missing) and not _is_clean(value):
            return self.fail(name, "Value must be valid JSON: text without null characters, and finite numbers.")
        return value

    def key(self, name: str, *, null: bool = False, required: bool = False) -> Any:
        """The number of something; whether that exists is asked elsewhere."""
        value = self._get(name, null=null, required=required)
        if value is None or isinstance(value, Missing):
            return value
        if self._is_form and value == "" and null:
            return None
        number = _integer(value)
        if number is None:
            return self.fail(name, f"Incorrect type. Expected pk value, received {type(value).__name__}.")
        if not 0 < number <= MAX_ID:
            return self.fail(name, f'Invalid pk "{str(value)[:20]}" - object does not exist.')
        return number

    def uuid(self, name: str, *, required: bool = False) -> Any:
        value = self._get(name, required=required)
        if isinstance(value, Missing):
            return value
        found = as_uuid(value)
        return found if found is not None else self.fail(name, f"“{str(value)[:80]}” is not a valid UUID.")

    def user(self, name: str, *, required: bool = False) -> Any:
        pk = self.key(name, required=required)
        if isinstance(pk, Missing):
            return pk
        return User.objects.filter(pk=pk).first() or self.fail(name, f'Invalid pk "{pk}" - object does not exist.')

    def clients(self, name: str) -> Any:
        value = self._get(name)
        if isinstance(value, Missing):
            return value
        if not isinstance(value, list):
            return self.fail(name, f'Expected a list of items but got type "{type(value).__name__}".')
        wanted = {item: as_uuid(item) for item in value if isinstance(item, str)}
        rows = Client.objects.filter(pk__in=[uuid for uuid in wanted.values() if uuid is not None])
        found = {client.pk: client for client in rows}
        missing = [item for item in value if not isinstance(item, str) or wanted[item] not in found]
        if missing:
            return self.fail(name, f'Invalid pk "{str(missing[0])[:80]}" - object does not exist.')
        return tuple(found.values())

    def _get(self, name: str, *, null: bool = False, required: bool = False) -> Any:
        if name not in self._values:
            return self.fail(name, REQUIRED) if required and not self._partial else MISSING
        value = self._values[name]
        if value is None and not null:
            return self.fail(name, NOT_NULL)
        return value


def as_uuid(value: Any) -> UUID | None:
    if isinstance(value, str) and len(value) <= 36:
        with suppress(ValueError):
            return UUID(value)
    return None


def sent(values: Mapping[str, Any]) -> dict[str, Any]:
    """Those that were."""
    return {name: value for name, value in values.items() if not isinstance(value, Missing)}


def _integer(value: Any) -> int | None:
    if isinstance(value, bool):
        return None
    if isinstance(value, int):
        return value
    if isinstance(value, str) and len(value) <= 20 and value.lstrip("-").isdecimal():
        with suppress(ValueError):
            return int(value)
    return int(value) if isinstance(value, float) and value.is_integer() else None


def _is_storable(text: str) -> bool:
    return "\0" not in text and (text.isascii() or not any("\ud800" <= c <= "\udfff" for c in text))


def _is_clean(value: Any) -> bool:
    """Whether every database keeps it and every JSON parser reads it."""
    stack: list[Any] = [value]
    while stack:
        item = stack.pop()
        inner: Iterable[Any] = ()
        if isinstance(item, dict):
            inner = (*item.keys(), *item.values())
        elif isinstance(item, list):
            inner = item
        elif (isinstance(item, str) and not _is_storable(item)) or (isinstance(item, float) and not isfinite(item)):
            return False
        stack.extend(inner)
    return True
