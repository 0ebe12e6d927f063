"""A customer's secret keys, sealed in the database and opened for a moment to check or make a signature."""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from foedus.ports import Ports
from foedus.ports.secrets import Secret
from foedus.records.customers.models import Customer, CustomerKey
from foedus.services.shell.sealing import seal, unseal

SECRET_BYTES = 16
PURPOSE = "customer keys"


@dataclass(frozen=True, slots=True)
class Key:
    """A key that is valid now; ``secret`` is the 16 bytes in Base64."""

    kid: str
    secret: Secret


def add(ports: Ports, customer: Customer, secret: str, *, now: datetime, expires_at: datetime | None) -> CustomerKey:
    """Keep another key in the caller's transaction. Raises IntegrityError when the customer has, or had, it."""
    kid = kid_of(customer.cid, secret)
    sealed = seal(ports, secret.encode(), purpose=PURPOSE, about=customer.cid)
    return CustomerKey.objects.create(customer=customer, kid=kid, sealed=sealed, created_at=now, expires_at=expires_at)


def valid(ports: Ports, customer: Customer, rows: Iterable[CustomerKey], now: datetime) -> list[Key]:
    """Those of the customer's keys that have not ended, the newest first."""
    live = [row for row in rows if row.expires_at is None or row.expires_at > now]
    live.sort(key=lambda row: (row.created_at, row.pk), reverse=True)
    return [
        Key(row.kid, Secret(unseal(ports, bytes(row.sealed), purpose=PURPOSE, about=customer.cid).decode()))
        for row in live
    ]


def kid_of(cid: str, secret: str) -> str:
    """A name for the key that others may see: nobody finds 16 random bytes from their hash."""
    return hashlib.sha256(f"foedus key id\n{cid}\n{secret}".encode()).hexdigest()[:16]
