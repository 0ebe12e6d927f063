"""A column for amounts of money: whole numbers of 256 bits, which is more than any database's integers have."""

from typing import TYPE_CHECKING, Any

from django.db.models import Field

if TYPE_CHECKING:
    _Whole = Field[int, int]
else:
    _Whole = Field  # has its parameters for type checkers alone

_DIGITS = 78  # of 2**256 - 1


class Amount(_Whole):
    """From 0 to 2**256 - 1. Compares and sorts as numbers do; sums are made in Python, under a lock.

    PostgreSQL has numbers of that size. SQLite has not: there it is a text of always 78 digits.
    """

    def db_type(self, connection: Any) -> str:
        return f"numeric({_DIGITS}, 0)" if connection.vendor == "postgresql" else f"varchar({_DIGITS})"

    def get_db_prep_value(self, value: Any, connection: Any, prepared: bool = False) -> Any:  # noqa: ARG002, FBT001, FBT002 - Django's
        if value is None:
            return None
        number = int(value)
        if not 0 <= number < 1 << 256:
            raise ValueError(f"an amount is a whole number from 0 to 2**256 - 1, not {number}")
        return number if connection.vendor == "postgresql" else f"{number:0{_DIGITS}}"

    def from_db_value(self, value: Any, expression: Any, connection: Any) -> int | None:  # noqa: ARG002
        return None if value is None else int(value)

    def to_python(self, value: Any) -> int | None:
        return None if value is None else int(value)
