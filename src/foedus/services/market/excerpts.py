"""What is shown of a log before it is paid for: its beginning and, once that is certain, its end."""

from collections.abc import Iterable, Sequence

FIRST_CHARACTERS, LAST_CHARACTERS = 1_024, 3_072
LEFT_OUT = "(the rest of the log is for whoever paid: nothing was, yet)"


def excerpt(lines: Sequence[str], *, is_over: bool) -> Sequence[str]:
    """The end only of what ``is_over``: of what grows, somebody who looks often enough would see everything."""
    first = _fitting(lines, FIRST_CHARACTERS)
    rest = lines[len(first) :]
    last = _fitting(reversed(rest), LAST_CHARACTERS)[::-1] if is_over else []
    return [*first, *last] if len(last) == len(rest) else [*first, LEFT_OUT, *last]


def _fitting(lines: Iterable[str], characters: int) -> list[str]:
    found: list[str] = []
    for line in lines:
        characters -= len(line) + 1
        if characters < 0:
            break
        found.append(line)
    return found
