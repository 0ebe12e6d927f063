"""Calls that are answered together: those that have something in common in one go."""

from collections.abc import Callable, Hashable, Iterable, Sequence
from typing import TypeVar

Q = TypeVar("Q")
A = TypeVar("A")
K = TypeVar("K", bound=Hashable)


def in_groups(asked: Sequence[Q], key: Callable[[Q], K], answer: Callable[[K, Sequence[Q]], Iterable[A]]) -> list[A]:
    """An answer to each, in their order; ``answer`` is asked once for all that have the same key."""
    answers: dict[int, A] = {}
    for group in dict.fromkeys(key(one) for one in asked):
        places = [at for at, one in enumerate(asked) if key(one) == group]
        answers.update(zip(places, answer(group, [asked[at] for at in places]), strict=True))
    return [answers[at] for at in range(len(asked))]
