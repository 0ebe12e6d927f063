"""Whether what the service depends on answers."""

from collections.abc import Callable

import structlog
from django.db import DatabaseError, connection

from foedus.core.errors import PlatformError
from foedus.ports import Ports
from foedus.ports.blobs import BlobMissing

log = structlog.get_logger()


def check(ports: Ports) -> dict[str, str]:
    """What does not answer, by name; empty when all is well. What it said goes to the log: strangers may ask this."""
    parts: dict[str, Callable[[], None]] = {
        "database": _database,
        "blobs": lambda: _blobs(ports),
        "bus": lambda: ports.bus.publish("readiness"),
    }
    problems = {}
    for part, ask in parts.items():
        try:
            ask()
        except (DatabaseError, PlatformError) as exc:
            log.warning("readiness.problem", part=part, error=str(exc))
            problems[part] = "unavailable"
    return problems


def _database() -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")


def _blobs(ports: Ports) -> None:
    """One look, however many blobs there are."""
    try:
        ports.blobs.stat("readiness")
    except BlobMissing:
        return
