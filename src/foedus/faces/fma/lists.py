"""Lists: a bare array, a page of it, newest first; and the filters of a query string."""

from dataclasses import dataclass
from typing import Any, TypeVar

from django.db.models import F, Model, QuerySet
from django.http import QueryDict

from foedus.core.errors import NotFound
from foedus.faces.fma.errors import BadFields
from foedus.faces.fma.fields import as_uuid

M = TypeVar("M", bound=Model)
BAD_CHOICE = "Select a valid choice. That choice is not one of the available choices."
_DIGITS = 9


@dataclass(frozen=True, slots=True)
class Paging:
    """How many rows a page has unless asked, and at most; and by what a list may be ordered besides the time."""

    size: int = 10
    most: int = 20
    orders: tuple[str, ...] = ("created_on",)

    def page(self, rows: QuerySet[M], query: QueryDict) -> list[M]:
        """The rows of the page that the query asks for. Raises NotFound for one that there is not."""
        size = min(self.most, _positive(query.get("page_size", "")) or self.size)
        wanted = query.get("page", "") or "1"
        number = max(1, -(-rows.count() // size)) if wanted == "last" else _positive(wanted)
        if number is None:
            raise NotFound("Invalid page.")
        found = list(self._ordered(rows, query)[(number - 1) * size : number * size])
        if not found and number > 1:
            raise NotFound("Invalid page.")
        return found

    def _ordered(self, rows: QuerySet[M], query: QueryDict) -> QuerySet[M]:
        word = next((w for w in query.get("ordering", "").split(",") if w.lstrip("-") in self.orders), "-created_on")
        column, falls = F(word.lstrip("-")), word.startswith("-")
        # An order of one's own among equals, or pages would show rows twice and others never.
        return rows.order_by(
            column.desc(nulls_last=True) if falls else column.asc(nulls_first=True), "-pk" if falls else "pk"
        )


class Filters:
    """The filters of a query string; a bad value is an error by the filter's name."""

    def __init__(self, query: QueryDict) -> None:
        self._query = query

    def row(self, name: str, among: QuerySet[Any]) -> int | None:
        """The number of one of the rows. Raises BadFields."""
        text = self._query.get(name, "")
        if not text:
            return None
        number = _positive(text, digits=18)
        if number is None or not among.filter(pk=number).exists():
            raise BadFields({name: [BAD_CHOICE]})
        return number

    def choice(self, name: str, among: tuple[int, ...]) -> int | None:
        text = self._query.get(name, "")
        if not text:
            return None
        if text not in map(str, among):
            raise BadFields({name: [f"Select a valid choice. {text[:40]} is not one of the available choices."]})
        return int(text)

    def uuid(self, name: str, among: QuerySet[Any]) -> Any:
        text = self._query.get(name, "")
        if not text:
            return None
        found = as_uuid(text)
        if found is None or not among.filter(pk=found).exists():
            raise BadFields({name: [BAD_CHOICE]})
        return found

    def boolean(self, name: str) -> bool | None:
        """Anything but true and false is ignored."""
        return {"true": True, "false": False}.get(self._query.get(name, "").lower())


def _positive(text: str, digits: int = _DIGITS) -> int | None:
    return int(text) if text.isascii() and text.isdecimal() and len(text) <= digits and int(text) > 0 else None
