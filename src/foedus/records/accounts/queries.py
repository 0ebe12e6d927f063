"""Every question that services ask of the accounts' tables, by name."""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from django.db.models import Q

from foedus.records.accounts.models import Credential
from foedus.records.prepared import Many, PreparedRows
from foedus.records.statements import Slot


class Owner(NamedTuple):
    """Who a token stands for: a participant, or a person where ``participant`` is None."""

    token_hash: str
    participant: int | None
    participant_name: str
    participant_organisation: int
    user: int
    username: str
    user_organisation: int | None
    is_active: bool
    is_superuser: bool


_valid_owners = Many(
    lambda hashes: PreparedRows(
        lambda: Credential.objects.filter(
            Q(expires_at=None) | Q(expires_at__gt=Slot("now")), token_hash__in=hashes, revoked_at=None
        ).values_list(
            "token_hash", "participant_id", "participant__name", "participant__organisation_id",
            "user_id", "user__username", "user__organisation_id", "user__is_active", "user__is_superuser",
        )
    )
)  # fmt: skip


def find_owners(token_hashes: Sequence[str], now: datetime) -> dict[str, Owner]:
    """By hash, who stands behind those of these tokens that exist, have not expired and were not revoked."""
    calls = _valid_owners.calls(token_hashes)
    return {row[0]: Owner(*row) for question, named in calls for row in question(now=now, **named)}
