"""What rows add to a project, or take from it: to the statistics, and to all that is kept beside them."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from foedus.core.companions import Beside, Declared
from foedus.core.errors import Conflict, TooLarge
from foedus.core.statistics import Statistics, merge_all
from foedus.services.statistics.keeping import Columns, Kept

MAX_COLUMNS = 4_000  # of one project: co-moments and squared products of so many take half a gigabyte


@dataclass(frozen=True, slots=True)
class Harvest:
    """``parts`` are what companions made of the rows, by name; ``pieces`` the blocks that a window takes."""

    value: Statistics
    columns: Columns = ()
    parts: Mapping[str, Any] = field(default_factory=dict)
    pieces: tuple[Statistics, ...] = ()
    rows: int = 0
    skipped: int = 0

    @classmethod
    def of(cls, kept: Kept) -> "Harvest":
        """All that a project keeps."""
        return cls(kept.value, kept.columns, kept.beside.summaries, kept.beside.window, kept.value.rows)

    def joined(self, other: "Harvest", declared: Declared) -> "Harvest":
        """The rows of both. Raises Conflict, TooLarge."""
        kept = Kept(0, self.columns, self.value, Beside(self.parts, self.pieces))
        both = adding(declared, other)(kept)
        value = self.value.merge(other.value)  # of all rows, also where a window forgets
        return Harvest(
            value, both.columns, both.beside.summaries, both.beside.window, self.rows + other.rows,
            self.skipped + other.skipped,
        )  # fmt: skip


def adding(declared: Declared, harvest: Harvest) -> Callable[[Kept], Kept]:
    """The change that learns. It raises Conflict and TooLarge."""

    def added(kept: Kept) -> Kept:
        check_size(kept, harvest.columns)
        summaries = {
            name: companion.added(kept.beside.summaries[name], harvest.parts[name]) if name in harvest.parts else None
            for name, companion in declared.companions.items()
        }
        missing = [name for name, summary in summaries.items() if summary is None]
        if missing:
            raise Conflict(f"this project also keeps {', '.join(missing)}, which need the rows: have it learn these")
        window: tuple[Statistics, ...] = ()
        if declared.window is not None:
            window = declared.window.moved(kept.beside.window, harvest.pieces or (harvest.value,))
        if declared.window is None or declared.window.embedded:
            value = kept.value.merge(harvest.value)
        else:
            value = merge_all(window, kept.value.plan)
        return replace(kept, value=value, columns=kept.with_columns(harvest.columns), beside=Beside(summaries, window))

    return added


def removing(declared: Declared, harvest: Harvest) -> Callable[[Kept], Kept]:
    """The change that forgets. It raises Conflict."""
    if declared.window is not None:
        raise Conflict("this project has a rolling window, which forgets by itself; rows cannot be taken out of it")

    def removed(kept: Kept) -> Kept:
        summaries = {
            name: companion.removed(kept.beside.summaries[name], harvest.parts[name])
            for name, companion in declared.companions.items()
        }
        return replace(kept, value=kept.value.forget(harvest.value), beside=Beside(summaries))

    return removed


def check_size(kept: Kept, columns: Columns) -> None:
    """Raises TooLarge for more columns than a project may have, Conflict for one of another type."""
    size = len(kept.with_columns(columns))
    if size > MAX_COLUMNS:
        raise TooLarge(
            f"the project would have {size} attributes, and {MAX_COLUMNS} are allowed; a category with very many "
            "values is better encoded or ignored (X)",
            columns=size,
        )
    letters = dict(kept.columns)
    for name, letter in columns:
        if letters.get(name, letter) != letter:
            raise Conflict(f"attribute {name[:80]!r} is {letters[name]} in this project and {letter} in the frame")
