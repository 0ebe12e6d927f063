"""The audit trail: one row for whatever changes what others rely on."""

from datetime import datetime
from typing import Any

from foedus.records.shell.models import AuditEntry
from foedus.services.shell.authorisation import Actor


def record(actor: Actor, verb: str, obj: str, *, organisation_id: int | None, now: datetime, **details: Any) -> None:
    """Note in the caller's transaction that ``actor`` did ``verb`` to ``obj``. ``details`` never holds secrets."""
    AuditEntry.objects.create(
        at=now, organisation_id=organisation_id, actor=str(actor)[:300], verb=verb, object=obj[:300], details=details
    )
