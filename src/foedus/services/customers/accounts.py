"""Customers: made, listed, given new keys, and shut out."""

import base64
import binascii
import re
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import IntegrityError, transaction
from django.db.models import Q, QuerySet

from foedus.core.errors import Conflict, Invalid, NotFound
from foedus.ports import Ports
from foedus.records.accounts.models import Organisation
from foedus.records.customers.models import Customer, CustomerKey
from foedus.services.customers import keys
from foedus.services.shell import audit
from foedus.services.shell.authorisation import Actor, Verb, organisation_of, require

MAX_SECONDS = 100 * 365 * 24 * 3600
_CID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@-]{0,99}")


@dataclass(frozen=True, slots=True, kw_only=True)
class AddCustomer:
    """``secret_key``: 16 bytes in Base64; None makes one. ``organisation``: None is the actor's own."""

    cid: str
    secret_key: str | None = None
    legacy: bool = False
    expires_in_s: float | None = None
    organisation: str | None = None


@dataclass(frozen=True, slots=True)
class NewKey:
    """A customer's key, which is shown this once."""

    cid: str
    secret_key: str
    expires_at: datetime | None


def add_customer(ports: Ports, actor: Actor, command: AddCustomer, *, now: datetime) -> NewKey:
    """A new customer with its first key. Raises Invalid, Forbidden; Conflict when there is one of that name."""
    if not _CID.fullmatch(command.cid):
        raise Invalid(
            "a customer id has 1 to 100 letters, digits, '.', '_', '@' and '-', and begins with a letter or digit"
        )
    owner = _organisation(actor, command.organisation)
    require(actor, Verb.ADMINISTER, owner)
    secret = checked_secret(command.secret_key) if command.secret_key is not None else new_secret()
    try:
        with transaction.atomic():
            customer = Customer.objects.create(
                cid=command.cid, organisation=owner, legacy=command.legacy, created_at=now
            )
            key = keys.add(ports, customer, secret, now=now, expires_at=_later(now, command.expires_in_s))
            note(actor, "create", customer, now, legacy=command.legacy, kid=key.kid)
    except IntegrityError:
        raise Conflict(f"there is a customer {command.cid!r} already") from None
    return NewKey(customer.cid, secret, key.expires_at)


def rotate_key(
    ports: Ports, actor: Actor, cid: str, *, secret_key: str | None, overlap_s: float,
    expires_in_s: float | None, now: datetime,
) -> NewKey:  # fmt: skip
    """Another key; those from before end after ``overlap_s``. Raises Invalid, NotFound, Forbidden, Conflict."""
    secret = checked_secret(secret_key) if secret_key is not None else new_secret()
    until = _later(now, overlap_s)
    try:
        with transaction.atomic():
            customer = locked_customer(actor, cid)
            old = CustomerKey.objects.filter(Q(expires_at=None) | Q(expires_at__gt=until), customer=customer)
            old.update(expires_at=until)
            key = keys.add(ports, customer, secret, now=now, expires_at=_later(now, expires_in_s))
            note(actor, "rotate", customer, now, kid=key.kid, overlap_s=overlap_s)
    except IntegrityError:
        raise Conflict(f"customer {cid!r} has, or had, this very key; choose another one") from None
    return NewKey(cid, secret, key.expires_at)


def expire_keys(actor: Actor, cid: str, *, in_s: float, now: datetime) -> int:
    """Have the customer's valid keys end in ``in_s`` at the latest; how many that were. Raises NotFound, Forbidden."""
    until = _later(now, in_s)
    with transaction.atomic():
        customer = locked_customer(actor, cid)
        count = CustomerKey.objects.filter(Q(expires_at=None) | Q(expires_at__gt=now), customer=customer).update(
            expires_at=until
        )
        note(actor, "expire", customer, now, keys=count, in_s=in_s)
    return count


def set_disabled(actor: Actor, cid: str, *, disabled: bool, now: datetime) -> None:
    """Shut a customer out, whatever its keys, or let it in again. Raises NotFound, Forbidden."""
    with transaction.atomic():
        customer = locked_customer(actor, cid)
        if (customer.disabled_at is not None) == disabled:
            return
        customer.disabled_at = now if disabled else None
        customer.save(update_fields=["disabled_at"])
        note(actor, "disable" if disabled else "enable", customer, now)


def list_customers(actor: Actor) -> QuerySet[Customer]:
    """The customers of the actor's organisation (a superuser's: of all), by name. Raises NotFound, Forbidden."""
    rows = Customer.objects.select_related("organisation").prefetch_related("keys").order_by("cid")
    if actor.superuser:
        return rows
    owner = _organisation(actor, None)
    require(actor, Verb.ADMINISTER, owner)
    return rows.filter(organisation=owner)


def checked_secret(text: str) -> str:
    """``text``, if it is a secret key: 16 bytes in Base64. Raises Invalid."""
    try:
        raw = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise Invalid("a secret key is 16 bytes in Base64; this is not Base64") from None
    if len(raw) != keys.SECRET_BYTES or base64.b64encode(raw).decode() != text:
        raise Invalid(f"a secret key is 16 bytes in Base64; these are {len(raw)}, or written in another way")
    return text


def new_secret() -> str:
    return base64.b64encode(secrets.token_bytes(keys.SECRET_BYTES)).decode()


def _organisation(actor: Actor, name: str | None) -> Organisation:
    if name is not None:
        found = Organisation.objects.filter(name=name).first()
        if found is None:
            raise NotFound(f"there is no organisation {name[:80]!r}")
        return found
    own = organisation_of(actor) or (Organisation.objects.order_by("pk").first() if actor.superuser else None)
    if own is None:
        raise NotFound("you belong to no organisation; name one")
    return own


def locked_customer(actor: Actor, cid: str) -> Customer:
    """The customer, if the actor administers it, in the caller's transaction. Raises NotFound, Forbidden."""
    customer = Customer.objects.select_for_update().filter(cid=cid).first()
    if customer is None:
        raise NotFound(f"there is no customer {cid[:100]!r}")
    require(actor, Verb.ADMINISTER, customer.organisation)
    return customer


def _later(now: datetime, seconds: float | None) -> datetime | None:
    if seconds is None:
        return None
    if not 0 <= seconds <= MAX_SECONDS:
        raise Invalid(f"a key's time is 0 to {MAX_SECONDS} seconds, not {seconds:g}")
    return now + timedelta(seconds=seconds)


def note(actor: Actor, verb: str, customer: Customer, now: datetime, **details: object) -> None:
    """A line of the audit trail about the customer."""
    audit.record(actor, verb, f"customer:{customer.cid}", organisation_id=customer.organisation_id, now=now, **details)
