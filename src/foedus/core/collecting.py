"""Python's collector of garbage, out of the way while a program starts."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def uncollected() -> Iterator[None]:
    """Collect nothing meanwhile.

    Imports make some hundred thousand objects that stay, and the collector looks at all of them again and again:
    measured, a fifth of the time that a server takes to start.
    """
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()
