"""Synchronous services for those who wait or stream: each call in a thread, with a database connection that answers."""

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from django.db import close_old_connections
from starlette.concurrency import run_in_threadpool

T = TypeVar("T")


async def in_thread(call: Callable[..., T], *args: Any, **kwargs: Any) -> T:
    """Run where it may block; its database connection is given a check before and after."""
    return await run_in_threadpool(_with_connection, call, args, kwargs)


def _with_connection(call: Callable[..., T], args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> T:
    close_old_connections()
    try:
        return call(*args, **kwargs)
    finally:
        close_old_connections()
