"""Connectors that few installations use, which cost memory in all."""

import threading
from collections.abc import Callable
from typing import Any, TypeVar, cast

A = TypeVar("A")


def deferred(make: Callable[[], A]) -> A:
    """Stands for what ``make`` gives, which is imported and made when it is first asked for something."""
    return cast(A, _Deferred(make))  # it has what it makes


class _Deferred:
    def __init__(self, make: Callable[[], Any]) -> None:
        self._make = make
        self._made: Any = None
        self._lock = threading.Lock()

    def __getattr__(self, name: str) -> Any:
        with self._lock:
            if self._made is None:
                self._made = self._make()
        return getattr(self._made, name)
