"""Every question that services ask of the accounts' tables, by name."""

from datetime import datetime

from django.db.models import Q

from foedus.records.accounts.models import Credential
from foedus.records.prepared import Prepared, Slot

_valid_credential = Prepared(
    lambda: Credential.objects.filter(
        Q(expires_at=None) | Q(expires_at__gt=Slot("now")), token_hash=Slot("token_hash"), revoked_at=None
    ).select_related("user", "participant")
)


def find_credential(token_hash: str, now: datetime) -> Credential | None:
    """The credential kept under that hash, with its owner, unless it has expired or was revoked."""
    return _valid_credential.first(token_hash=token_hash, now=now)
