"""Calls that are answered together: those that have something in common in one go."""

from collections.abc import Callable, Hashable, Iterable, Sequence
from typing import TypeVar

import structlog

from foedus.core.errors import PlatformError

log = structlog.get_logger()
Q = TypeVar("Q")
A = TypeVar("A")
K = TypeVar("K", bound=Hashable)


def in_groups(
    asked: Sequence[Q], key: Callable[[Q], K], answer: Callable[[K, Sequence[Q]], Iterable[A]]
) -> list[A | Exception]:
    """An answer to each, in their order; ``answer`` is asked once for all that have the same key.

    What it raises is the answer to that group, and does not concern the others.
    """
    answers: dict[int, A | Exception] = {}
    for group in dict.fromkeys(key(one) for one in asked):
        places = [at for at, one in enumerate(asked) if key(one) == group]
        found: Sequence[A | Exception]
        try:
            found = list(answer(group, [asked[at] for at in places]))
        except PlatformError as exc:
            found = [exc] * len(places)
        except Exception as exc:
            log.exception("group.failed", group=str(group), asked=len(places))
            found = [exc] * len(places)
        answers.update(zip(places, found, strict=True))
    return [answers[at] for at in range(len(asked))]
