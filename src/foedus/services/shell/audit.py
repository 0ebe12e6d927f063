"""The audit trail: one row for whatever changes what others rely on."""

from datetime import datetime
from typing import Any

from foedus.core.errors import NotFound
from foedus.records.shell.models import AuditEntry
from foedus.services.shell.authorisation import Actor, Verb, organisation_of, require
from foedus.services.shell.pages import Page, Window, page_of


def record(actor: Actor, verb: str, obj: str, *, organisation_id: int | None, now: datetime, **details: Any) -> None:
    """Note in the caller's transaction that ``actor`` did ``verb`` to ``obj``. ``details`` never holds secrets."""
    AuditEntry.objects.create(
        at=now, organisation_id=organisation_id, actor=str(actor)[:300], verb=verb, object=obj[:300], details=details
    )


def list_entries(actor: Actor, window: Window) -> Page[AuditEntry]:
    """The trail of the actor's organisation (a superuser's: of everybody), newest first. Raises Forbidden, NotFound."""
    rows = AuditEntry.objects.all()
    if not actor.superuser:
        organisation = organisation_of(actor)
        if organisation is None:
            raise NotFound("you belong to no organisation; ask a superuser to assign you to one")
        require(actor, Verb.ADMINISTER, organisation)
        rows = rows.filter(organisation_id=organisation.pk)
    return page_of(rows, window, newest_first=True)
