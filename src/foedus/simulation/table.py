"""The rounds of a run as they happen: a live table on a terminal, lines in a pipe, JSON lines for programs."""

import json
import math
import sys
import time
from dataclasses import asdict, dataclass
from types import TracebackType
from typing import TYPE_CHECKING, Literal, Protocol, Self, TextIO

if TYPE_CHECKING:  # imported for a terminal alone: it takes longer than some rounds
    from rich.text import Text

Form = Literal["live", "lines", "json"]
_DRAWN_EVERY_S = 0.1
_BAR_CHARACTERS = 24
NONE = "–"  # noqa: RUF001 - an en dash, for a value that is not there


@dataclass(frozen=True, slots=True, kw_only=True)
class RoundRow:
    """One finished round. ``seconds`` from its opening to the new checkpoint; ``accuracy`` from 0 to 1."""

    number: int
    reported: int
    invited: int
    seconds: float
    loss: float | None = None
    accuracy: float | None = None

    def cells(self) -> tuple[str, str, str, str, str]:
        """Round, participants, seconds, mean loss and accuracy as people read them."""
        return (
            str(self.number),
            f"{self.reported}/{self.invited}",
            f"{self.seconds:.2f}",
            NONE if self.loss is None else f"{self.loss:.4f}",
            NONE if self.accuracy is None else f"{self.accuracy:.1%}",
        )


class _Rendering(Protocol):
    def started(self, number: int, invited: int) -> None: ...
    def waiting(self, number: int, text: str, reported: int | None) -> None: ...
    def progress(self, number: int, reported: int, rate: float, doing: str) -> None: ...
    def finished(self, row: RoundRow) -> None: ...
    def close(self) -> None: ...


class RoundTable:
    """Shows rounds. Use it in a ``with`` block: leaving it, also by Ctrl-C, leaves the terminal as it was.

    ``form`` is chosen by the output when it is not given: ``live`` on a terminal, ``lines`` elsewhere.
    """

    def __init__(self, *, rounds: int | None = None, form: Form | None = None, output: TextIO | None = None) -> None:
        output = sys.stdout if output is None else output
        self._number = 0
        self._said: tuple[str, int | None] | None = None
        self._rendering = _rendering(form or _form(output), output, rounds)

    def round_started(self, number: int, invited: int) -> None:
        self._number = number
        self._said = None
        self._rendering.started(number, invited)

    def waiting(self, text: str, reported: int | None = None) -> None:
        """What the present round (or the start of the first) waits for, as a sentence; and how many have reported."""
        said = (_printable(text), reported)
        if said != self._said:
            self._said = said
            self._rendering.waiting(self._number, *said)

    def progress(self, reported: int, rate: float, doing: str = "") -> None:
        """How many of those invited are through, and how many a second; as often as it happens. For terminals alone.

        ``doing`` is what they are through with, where it is not training.
        """
        self._rendering.progress(self._number, reported, rate, doing)

    def round_finished(self, row: RoundRow) -> None:
        self._rendering.finished(row)

    def close(self) -> None:
        """May be called more than once."""
        self._rendering.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _form(output: TextIO) -> Form:
    # A terminal that cannot move its cursor (TERM=dumb) gets lines, as a pipe does.
    if not output.isatty():
        return "lines"
    from rich.console import Console

    console = Console(file=output)
    return "live" if console.is_terminal and not console.is_dumb_terminal else "lines"


def _rendering(form: Form, output: TextIO, rounds: int | None) -> _Rendering:
    match form:
        case "live":
            return _Live(output, rounds)
        case "lines":
            return _Lines(output)
        case "json":
            return _JsonLines(output)


class _Live:
    """Finished rounds are printed for good; below them one line is redrawn when it changes, and not otherwise."""

    def __init__(self, output: TextIO, rounds: int | None) -> None:
        from rich.console import Console
        from rich.live import Live

        self._console = Console(file=output, highlight=False)
        self._live = Live(console=self._console, auto_refresh=False, transient=True)
        self._rounds = rounds
        self._reported, self._invited = 0, 0
        self._drawn_at = -math.inf

    def started(self, number: int, invited: int) -> None:
        self._reported, self._invited = 0, invited
        self._draw(number, "")

    def progress(self, number: int, reported: int, rate: float, doing: str) -> None:
        now = time.monotonic()
        if now - self._drawn_at < _DRAWN_EVERY_S:
            return
        self._drawn_at, self._reported = now, reported
        told = [_bar(reported, self._invited)] if self._invited else []  # there is no round before the first model
        self._draw(number, " ".join([*told, *([doing] if doing else []), f"{rate:.0f} a second"]))

    def waiting(self, number: int, text: str, reported: int | None) -> None:
        self._reported = self._reported if reported is None else reported
        self._draw(number, text)

    def finished(self, row: RoundRow) -> None:
        number, *others = row.cells()
        self._head()
        self._reported, self._invited = 0, 0
        self._live.update("")  # drawn together with the row, below it
        self._console.print(_line(self._of_all(number), *others))

    def close(self) -> None:
        if self._live.is_started:
            self._live.stop()

    def _draw(self, number: int, text: str) -> None:
        self._head()
        counted = f"{self._reported}/{self._invited}" if self._invited else ""
        line = _line(self._of_all(str(number)) if number else "", counted)
        line.append(f"  {text}", style="dim")
        line.truncate(self._console.width - 1, overflow="ellipsis")  # two lines would not be redrawn as one
        self._live.update(line, refresh=True)

    def _head(self) -> None:
        if not self._live.is_started:
            self._console.print(_line("round", "reported", "seconds", "mean loss", "accuracy", style="bold"))
            self._live.start()

    def _of_all(self, number: str) -> str:
        return number if self._rounds is None else f"{number}/{self._rounds}"


def _bar(done: int, of_all: int) -> str:
    full = _BAR_CHARACTERS * min(done, of_all) // of_all
    return "━" * full + "╌" * (_BAR_CHARACTERS - full)


def _line(number: str, reported: str, *others: str, style: str = "") -> "Text":
    from rich.text import Text

    return Text(f"{number:>7}  {reported:>11}" + "".join(f"  {cell:>9}" for cell in others), style=style)


class _Lines:
    """A line for each thing that happens; of sentences that count who has reported, the first one of a round."""

    def __init__(self, output: TextIO) -> None:
        self._output = output
        self._counted: int | None = None

    def started(self, number: int, invited: int) -> None:
        self._write(f"round {number}: {invited} participants invited")

    def waiting(self, number: int, text: str, reported: int | None) -> None:
        if reported is not None:
            if number == self._counted:
                return
            self._counted = number
        self._write(f"round {number}: {text}" if number else text)

    def progress(self, number: int, reported: int, rate: float, doing: str) -> None:
        """A line for each would be too many."""

    def finished(self, row: RoundRow) -> None:
        number, reported, seconds, loss, accuracy = row.cells()
        self._write(f"round {number}: {reported} reported, {seconds} s, mean loss {loss}, accuracy {accuracy}")

    def close(self) -> None:
        self._output.flush()

    def _write(self, line: str) -> None:
        self._output.write(f"{line}\n")
        self._output.flush()


class _JsonLines:
    """One JSON object a line, each with an ``event``."""

    def __init__(self, output: TextIO) -> None:
        self._output = output

    def started(self, number: int, invited: int) -> None:
        self._write("round.started", {"number": number, "invited": invited})

    def waiting(self, number: int, text: str, reported: int | None) -> None:
        self._write("round.waiting", {"number": number, "text": text, "reported": reported})

    def progress(self, number: int, reported: int, rate: float, doing: str) -> None:
        """A line for each would be too many."""

    def finished(self, row: RoundRow) -> None:
        self._write("round.finished", asdict(row))

    def close(self) -> None:
        self._output.flush()

    def _write(self, event: str, fields: dict[str, object]) -> None:
        self._output.write(json.dumps({"event": event, **fields}) + "\n")
        self._output.flush()


def _printable(text: str) -> str:
    """Without control characters: a participant's name must not steer somebody's terminal."""
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text)
