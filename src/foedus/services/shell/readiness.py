"""Whether what the service depends on answers."""

from django.db import DatabaseError, connection

from foedus.core.errors import PlatformError
from foedus.ports import Ports


def check(ports: Ports) -> dict[str, str]:
    """What does not answer, by name, with what it said; empty when all is well."""
    problems = {}
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
    except DatabaseError as exc:
        problems["database"] = str(exc)
    try:
        next(iter(ports.blobs.list("readiness/")), None)
    except PlatformError as exc:
        problems["blobs"] = str(exc)
    try:
        ports.bus.publish("readiness")
    except PlatformError as exc:
        problems["bus"] = str(exc)
    return problems
