"""What pages are made of. A module below ``pages`` has a ``SECTION``; that is all that makes it part of the console.

Below a folder with the name of a face it is so only where that face is on.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from foedus.ports import Ports
from foedus.services.shell.authorisation import Actor

Context = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Look:
    """Somebody who looks at a page, now."""

    ports: Ports
    actor: Actor
    query: Mapping[str, str]
    now: datetime

    @property
    def after(self) -> int | None:
        """Where the part of a long list begins that is asked for."""
        text = self.query.get("after", "")
        return int(text) if text.isascii() and text.isdecimal() and len(text) < 18 else None


@dataclass(frozen=True, slots=True)
class View:
    """A page: its address below the section's, its template, and what it shows.

    ``read`` asks services, which ask for leave; it takes a Look and what the address names. ``wakes`` in what it gives
    is the stream of events that may change the page; without it the page is looked at again every other second. One
    that does not follow is as it was when it was asked for: somebody fills in its forms.
    """

    route: str
    template: str
    read: Callable[..., Context]
    follows: bool = True


@dataclass(frozen=True, slots=True)
class Section:
    """Pages that belong together; the first is in the navigation."""

    name: str
    title: str
    order: int
    views: tuple[View, ...]
