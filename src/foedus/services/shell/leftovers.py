"""Blobs of a transaction that failed."""

from collections.abc import Callable, Collection, Iterable
from contextlib import suppress

import structlog
from django.db import Error as DatabaseError
from django.db import InterfaceError, OperationalError

from foedus.core.errors import NotFound
from foedus.ports import Ports

log = structlog.get_logger()


def remove_unnamed(
    ports: Ports,
    blobs: Iterable[str],
    named: Callable[[list[str]], Collection[str]],
    after: BaseException | None = None,
) -> None:
    """Remove those that no row names: what was raised may hide that the database did commit. While it does not answer,
    all of them stay. ``named`` asks the database which of them are named; ``after`` is what the transaction raised.

    After a connection broke the commit may be under way still, and name them once nobody looks any more: they are left
    to the collection of garbage.
    """
    stored = [blob for blob in blobs if blob]
    if not stored:
        return
    if isinstance(after, OperationalError | InterfaceError):
        log.warning("blobs.left", blobs=stored, error=str(after))
        return
    try:
        kept = named(stored)
    except DatabaseError as exc:
        log.warning("blobs.left", blobs=stored, error=str(exc))
        return
    for blob in stored:
        if blob not in kept:
            with suppress(NotFound):
                ports.blobs.delete(blob)
