"""Long lists, a page at a time: each page begins after a row, so that rows added meanwhile shift nothing."""

from dataclasses import dataclass
from typing import Generic, TypeVar

from django.db.models import Model, QuerySet

from foedus.core.errors import Invalid

MAX_LIMIT = 200
DEFAULT_LIMIT = 50

T = TypeVar("T")
M = TypeVar("M", bound=Model)


@dataclass(frozen=True, slots=True)
class Window:
    """Which part of a list: ``limit`` rows after the one that an earlier page named as ``next``."""

    after: int | None = None
    limit: int = DEFAULT_LIMIT

    def __post_init__(self) -> None:
        if not 1 <= self.limit <= MAX_LIMIT:
            raise Invalid(f"limit is 1 to {MAX_LIMIT}", field="limit")


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """A part of a list; ``next`` is where the following one begins, None at the end."""

    items: list[T]
    next: int | None


def page_of(rows: QuerySet[M], window: Window, *, by: str = "pk", newest_first: bool = False) -> Page[M]:
    """The rows of the window, ordered by the unique column ``by``."""
    if window.after is not None:
        rows = rows.filter(**{f"{by}__{'lt' if newest_first else 'gt'}": window.after})
    found = list(rows.order_by(f"-{by}" if newest_first else by)[: window.limit + 1])
    items = found[: window.limit]
    return Page(items, getattr(items[-1], by) if len(found) > len(items) else None)
