"""What goes wrong in somebody's app, in its own words: the kind of error and the last lines of its traceback."""

import importlib
import os
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from foedus.core.errors import Invalid, PlatformError

LINES = 6
LINE_CHARACTERS = 300
_OURS = str(Path(__file__).parents[2]) + os.sep  # this package
_GENERATED = "<string>"  # the methods of dataclasses
_IMPORTING = (str(Path(importlib.__file__).parent), "<frozen importlib")
_INSTALLED = "site-packages"
Result = TypeVar("Result")


class Interrupted(KeyboardInterrupt):
    """Whoever runs the simulation wants it to end. An app that raises KeyboardInterrupt itself has only failed."""


@dataclass(frozen=True, slots=True)
class Failure:
    """``kind`` is the name of the exception's class; ``lines`` end with its message."""

    kind: str
    lines: tuple[str, ...]

    @classmethod
    def of(cls, error: BaseException) -> "Failure":
        """Frames of this package are left out, and Python's own of an import: the mistake is in the app."""
        told = [*traceback.format_list(_frames(error)), *_ending(error)]
        return cls(type(error).__name__, _lines(told)[-LINES:])

    def __str__(self) -> str:
        return "\n".join(self.lines)


def in_app(what: str, function: Callable[[], Result]) -> Result:
    """What a function of the app gives. Raises Invalid for whatever goes wrong in it."""
    try:
        return function()
    except (PlatformError, Interrupted):
        raise
    except ModuleNotFoundError as exc:
        raise Invalid(_missing(what, exc)) from exc
    except BaseException as exc:  # sys.exit() at the end of a script would pass for a run that went well
        raise Invalid(f"{what} failed:\n{Failure.of(exc)}") from exc


def _missing(what: str, error: ModuleNotFoundError) -> str:
    """A sentence, and the line of the app that wants the module."""
    frames = _frames(error)
    if not frames:
        return f"there is no module {error.name!r} to be found from here; an app in a file is named as file.py"
    own = [frame for frame in frames if _INSTALLED not in frame.filename] or frames
    line = "\n".join(_lines(traceback.format_list(own[-1:])))
    return f"{what} needs the module {error.name!r}, which is not installed here:\n{line}"


def _ending(error: BaseException) -> list[str]:
    """What is said at the end of a traceback. Ours are sentences, and where their classes are says nothing."""
    if isinstance(error, PlatformError):
        return [f"{type(error).__name__}: {error}"]
    return traceback.format_exception_only(error)


def _frames(error: BaseException) -> list[traceback.FrameSummary]:
    left_out = (_OURS, _GENERATED, *_IMPORTING)
    return [frame for frame in traceback.extract_tb(error.__traceback__) if not frame.filename.startswith(left_out)]


def _lines(told: list[str]) -> tuple[str, ...]:
    return tuple(line[:LINE_CHARACTERS] for line in "".join(told).splitlines() if line.strip(" ^~"))
