"""What goes wrong in somebody's app, in its own words: the kind of error and the last lines of its traceback."""

import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from foedus.core.errors import Invalid, PlatformError

LINES = 6
LINE_CHARACTERS = 300
_OURS = str(Path(__file__).parent)
Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class Failure:
    """``kind`` is the name of the exception's class; ``lines`` end with its message."""

    kind: str
    lines: tuple[str, ...]

    @classmethod
    def of(cls, error: BaseException) -> "Failure":
        """Frames of this package are left out: the mistake is in the app."""
        frames = [frame for frame in traceback.extract_tb(error.__traceback__) if not frame.filename.startswith(_OURS)]
        told = "".join([*traceback.format_list(frames), *traceback.format_exception_only(error)])
        lines = [line[:LINE_CHARACTERS] for line in told.splitlines() if line.strip(" ^~")]
        return cls(type(error).__name__, tuple(lines[-LINES:]))

    def __str__(self) -> str:
        return "\n".join(self.lines)


def in_app(what: str, function: Callable[[], Result]) -> Result:
    """What a function of the app gives. Raises Invalid for whatever goes wrong in it."""
    try:
        return function()
    except PlatformError:
        raise
    except Exception as exc:
        raise Invalid(f"{what} failed:\n{Failure.of(exc)}") from exc
