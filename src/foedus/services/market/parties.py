"""Who acts on the market: parties known by their address, and what they may do to which asset."""

from datetime import datetime

from django.db import transaction

from foedus.records.market.models import Account
from foedus.services.shell import audit
from foedus.services.shell.authorisation import SYSTEM, Actor, Kind
from foedus.wallet.keys import checked_address

ANYBODY = Actor(Kind.PARTY, 0, "", None)


def party_of(address: str, *, now: datetime) -> Actor:
    """The party with that address; it gets an account on its first login. Raises Invalid for what is no address."""
    account, _ = Account.objects.get_or_create(address=checked_address(address), defaults={"created_at": now})
    return actor_of(account)


def actor_of(account: Account) -> Actor:
    return Actor(Kind.PARTY, account.pk, account.address, None, superuser=account.is_administrator)


def trust(address: str, *, everything: bool = False, now: datetime) -> str:
    """Let assets of the address's owner name files of this machine; ``everything``: make it an administrator.

    The address, checked. Raises Invalid.
    """
    party = party_of(checked_address(address), now=now)
    given = {"is_administrator": True} if everything else {"offers_files": True}
    with transaction.atomic():
        Account.objects.filter(address=party.name).update(**given)
        audit.record(SYSTEM, "party.trusted", party.name, organisation_id=None, now=now, everything=everything)
    return party.name


def distrust(address: str, *, now: datetime) -> str:
    """Take back whatever the address was trusted with; the address, checked. Raises Invalid."""
    party = party_of(checked_address(address), now=now)
    with transaction.atomic():
        Account.objects.filter(address=party.name).update(is_administrator=False, offers_files=False)
        audit.record(SYSTEM, "party.distrusted", party.name, organisation_id=None, now=now)
    return party.name
