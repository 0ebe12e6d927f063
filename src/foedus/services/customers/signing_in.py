"""Customers that sign in with an account of a provider of identities, and so get the key that signs their calls.

A customer is found by who the provider says it is for ever (issuer and subject), never by a name that an account can
choose or change: an operator links the two, or the first sign-in makes a customer where that is permitted.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import IntegrityError, transaction

from foedus.core.errors import Conflict, Invalid
from foedus.core.symetryml.sign_in import SignInPolicy
from foedus.ports import Ports
from foedus.ports.identity import Identity
from foedus.ports.secrets import Secret
from foedus.records.customers.models import Customer, CustomerIdentity
from foedus.services.customers import keys
from foedus.services.customers.accounts import AddCustomer, add_customer, locked_customer, note
from foedus.services.shell.authorisation import SYSTEM, Actor, Kind

_MAX = 255


class UnknownProfile(Invalid):
    """There is no profile for this call: sign in first"""


class UnknownCustomer(Invalid):
    """Invalid User"""


@dataclass(frozen=True, slots=True)
class Access:
    """What a customer signs its calls with."""

    cid: str
    secret: Secret


def sign_in(ports: Ports, identity: Identity, policy: SignInPolicy, *, now: datetime) -> CustomerIdentity:
    """The customer's identity, noted in the audit trail. Raises UnknownCustomer, Conflict."""
    found = _linked(identity)
    if found is None and policy.create:
        found = _created(ports, identity, policy, now)
    if found is None or found.customer.disabled_at is not None:
        raise UnknownCustomer(
            f"no customer is linked with account {identity.subject!r} of {identity.issuer}; the operator of this "
            "server does that by: foedus customers link"
        )
    note(_actor(found.customer), "sign in", found.customer, now, subject=identity.subject)
    return found


def access_of(ports: Ports, identity_id: int, *, now: datetime) -> Access:
    """The newest valid key of who has signed in. Raises UnknownProfile, UnknownCustomer."""
    found = CustomerIdentity.objects.select_related("customer").filter(pk=identity_id).first()
    if found is None:
        raise UnknownProfile
    customer = found.customer
    if customer.disabled_at is not None:
        raise UnknownCustomer
    valid = keys.valid(ports, customer, customer.keys.all(), now)
    if not valid:
        raise UnknownCustomer("all keys of this customer have ended; its operator gives it another")
    note(_actor(customer), "read key", customer, now, kid=valid[0].kid)
    return Access(customer.cid, valid[0].secret)


def link_identity(actor: Actor, cid: str, issuer: str, subject: str, *, now: datetime) -> None:
    """Whoever signs in as ``subject`` is this customer. Raises NotFound, Forbidden, Invalid, Conflict."""
    for text in (issuer, subject):
        if not 0 < len(text) <= _MAX or not text.isprintable():
            raise Invalid(f"issuer and subject have 1 to {_MAX} characters")
    try:
        with transaction.atomic():
            customer = locked_customer(actor, cid)
            CustomerIdentity.objects.create(customer=customer, issuer=issuer, subject=subject, created_at=now)
            note(actor, "link", customer, now, issuer=issuer, subject=subject)
    except IntegrityError:
        raise Conflict(f"account {subject[:80]!r} is linked with a customer already; unlink that first") from None


def unlink_identities(actor: Actor, cid: str, *, now: datetime) -> int:
    """Nobody signs in as this customer any longer; how many accounts could. Raises NotFound, Forbidden."""
    with transaction.atomic():
        customer = locked_customer(actor, cid)
        count, _ = CustomerIdentity.objects.filter(customer=customer).delete()
        note(actor, "unlink", customer, now, accounts=count)
    return count


def _linked(identity: Identity) -> CustomerIdentity | None:
    rows = CustomerIdentity.objects.select_related("customer")
    return rows.filter(issuer=identity.issuer, subject=identity.subject).first()


def _created(ports: Ports, identity: Identity, policy: SignInPolicy, now: datetime) -> CustomerIdentity | None:
    name = _name(identity, policy.claim)
    try:
        with transaction.atomic():
            add_customer(ports, SYSTEM, AddCustomer(cid=name, organisation=policy.organisation), now=now)
            link_identity(SYSTEM, name, identity.issuer, identity.subject, now=now)
    except Conflict:
        return _linked(identity)  # made a moment ago by the same account, or a name that is somebody else's
    return _linked(identity)


def _name(identity: Identity, claim: str) -> str:
    """Raises UnknownCustomer."""
    name: Any = identity.claims.get(claim)
    if claim == "email" and identity.claims.get("email_verified") is not True:
        raise UnknownCustomer("the provider has not verified the account's email address")
    if not isinstance(name, str):
        raise UnknownCustomer(f"the provider says nothing of {claim!r}, which names customers here")
    return name


def _actor(customer: Customer) -> Actor:
    return Actor(Kind.CUSTOMER, customer.pk, customer.cid, customer.organisation_id)
