"""Every error that crosses a boundary in foedus.

    PlatformError
    ├── Invalid          the input is wrong, and will be wrong the next time
    │   ├── TooLarge     it is over a stated limit
    │   └── NoUpdates    there is nothing to combine
    ├── Unauthenticated  nobody known is asking
    ├── Forbidden        somebody known may not do this
    │   └── QuotaExceeded  not this often
    ├── NotFound         there is no such thing, or not for the one who asks
    ├── Conflict         it fits no longer, or not yet: the state has moved on
    │   ├── Replayed     the same contribution was made before with other content
    │   └── Late         the round it was meant for is over
    └── Unavailable      something we depend on does not answer; the same call may succeed later

A class's docstring is its default message. Context goes in as keywords and comes out as ``context``.
"""

import inspect
from typing import Any


class PlatformError(Exception):
    """Something went wrong."""

    def __init__(self, message: str | None = None, **context: Any) -> None:
        self.message = message or inspect.cleandoc(type(self).__doc__ or "").split("\n", maxsplit=1)[0]
        self.context = context
        super().__init__(self.message)

    def __str__(self) -> str:
        """The message, and of the context what the message does not say already."""
        quoted = {name: repr(value) for name, value in self.context.items()}
        said = {text for text in quoted.values() if text[0] in "'\"" and text in self.message}
        details = ", ".join(f"{name}={text}" for name, text in quoted.items() if text not in said)
        return f"{self.message} ({details})" if details else self.message

    @property
    def code(self) -> str:
        """The error's name for machines, such as ``not_found``."""
        name = type(self).__name__
        return "".join(f"_{c.lower()}" if c.isupper() else c for c in name).lstrip("_")


class Invalid(PlatformError):
    """The input is not valid."""


class TooLarge(Invalid):
    """The input is larger than allowed."""


class NoUpdates(Invalid):
    """There are no updates to combine, or they weigh nothing."""


class Unauthenticated(PlatformError):
    """Credentials are missing, wrong or expired."""


class Forbidden(PlatformError):
    """You may not do this."""


class QuotaExceeded(Forbidden):
    """Too many requests; wait before trying again."""


class NotFound(PlatformError):
    """There is no such thing."""


class Conflict(PlatformError):
    """This does not fit the present state."""


class Replayed(Conflict):
    """This was handed in before with other content."""


class Late(Conflict):
    """The round this was meant for is over."""


class Unavailable(PlatformError):
    """A service that foedus depends on does not answer."""
