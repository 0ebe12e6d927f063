"""Who sent a signed request: every check between its headers and an actor, in one place."""

import hashlib
import hmac
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from django.db import IntegrityError, transaction

from foedus.core.errors import Invalid, Unauthenticated
from foedus.core.symetryml.dates import NEWEST, OLDEST, check_window, parse_date
from foedus.core.symetryml.signing import Message, SocketMessage, content_md5, is_signed, string_to_sign
from foedus.ports import Ports
from foedus.records.customers.models import Customer, SeenRequest
from foedus.services.customers import keys
from foedus.services.customers.keys import Key
from foedus.services.shell.authorisation import Actor, Kind

SHOWN_BODY_BYTES = 64
_MAX_HEADER_CHARACTERS = 400


class NoSignature(Invalid):
    """Authentication header is null"""


class NoDate(Invalid):
    """sym-date header is null"""


class Md5Differs(Invalid):
    """Md5 do not match"""


class UnknownUser(Unauthenticated):
    """Invalid User"""


class BadSignature(Unauthenticated):
    """Invalid Signature"""


class RequestReplayed(Unauthenticated):
    """This request was taken before; sign a new one"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Proof:
    """What a request says of itself besides its message. ``customer``: what its header says, if it has one."""

    signature: str | None
    date: str | None
    md5: str | None = None
    customer: str | None = None


@dataclass(frozen=True, slots=True)
class Caller:
    """A customer whose signature was right, and its valid keys, that which signed first."""

    customer: Customer
    keys: tuple[Key, ...] = field(repr=False)

    @property
    def actor(self) -> Actor:
        return Actor(Kind.CUSTOMER, self.customer.pk, self.customer.cid, self.customer.organisation_id)


def check_headers(proof: Proof, now: datetime) -> None:
    """What can be told before the body is here. Raises NoSignature, NoDate, BadDate, OutOfWindow."""
    if not proof.signature:
        raise NoSignature
    if not proof.date:
        raise NoDate
    check_window(parse_date(proof.date[:_MAX_HEADER_CHARACTERS]), now)


def known_customer(cid: str, proof: Proof) -> Customer:
    """Raises UnknownUser, also for those shut out and for a header that names another."""
    customer = Customer.objects.prefetch_related("keys").filter(cid=cid, disabled_at=None).first() if cid else None
    if customer is None or (proof.customer and proof.customer != cid):
        raise UnknownUser
    return customer


def authenticate(
    ports: Ports, customer: Customer, message: Message | SocketMessage, proof: Proof, *, now: datetime,
    also: Sequence[Key] = (),
) -> Caller:  # fmt: skip
    """Raises Md5Differs, BadSignature. ``also``: keys that may sign besides the customer's own."""
    body = message.payload if isinstance(message, SocketMessage) else message.body
    if proof.md5 and not hmac.compare_digest(proof.md5.strip().encode(), content_md5(body).encode()):
        raise Md5Differs
    signature = (proof.signature or "")[:_MAX_HEADER_CHARACTERS]
    found = [*keys.valid(ports, customer, customer.keys.all(), now), *also]
    signing = [key for key in found if is_signed(message, key.secret.reveal(), signature)]
    if not signing:
        context = {}
        if isinstance(message, Message):
            context["string_to_sign"] = string_to_sign(message, shown_body_bytes=SHOWN_BODY_BYTES)
        raise BadSignature(**context)
    return Caller(customer, (*signing, *(key for key in found if key not in signing)))


def take_once(customer: Customer, proof: Proof, *, now: datetime) -> None:
    """Let nobody send this request again while its date is valid, here or on another server. Raises RequestReplayed.

    By itself in a transaction: what is lost to a crash afterwards is signed anew by its sender.
    """
    digest = hashlib.sha256((proof.signature or "").encode()).hexdigest()
    try:
        with transaction.atomic():
            SeenRequest.objects.create(customer=customer, digest=digest, until=now + OLDEST + NEWEST)
    except IntegrityError:
        raise RequestReplayed from None


def forget_seen(now: datetime) -> int:
    """Remove what is too old to be sent again; how many that were."""
    count, _ = SeenRequest.objects.filter(until__lt=now).delete()
    return count
