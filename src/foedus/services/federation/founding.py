"""Federated projects: created by a federation's admin, or made by joining one."""

import os
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime
from uuid import uuid4

from django.db import transaction

from foedus.core.errors import Invalid, PlatformError
from foedus.core.federation.messages import Kind
from foedus.core.federation.peers import Node
from foedus.ports import Ports
from foedus.records.customers.models import Customer
from foedus.records.federation.models import Membership
from foedus.records.statistics.models import StatisticsProject
from foedus.services.federation import keys
from foedus.services.federation.admission import asking
from foedus.services.federation.effects import queue
from foedus.services.federation.envelopes import CLEAR, key_id
from foedus.services.federation.errors import NotTrusted
from foedus.services.federation.identities import KEY_BYTES, Certificate, Identity, decoded, node_of
from foedus.services.federation.membership import Private, Seat, changing, sealed, seat_at
from foedus.services.federation.promises import CHANGED_JOB
from foedus.services.shell import audit
from foedus.services.shell.authorisation import Actor
from foedus.services.statistics.computing import device_for
from foedus.services.statistics.plans import FEDERATED
from foedus.services.statistics.projects import CreateProject, make_project


@dataclass(frozen=True, slots=True)
class Founding:
    """A federated project that is asked for: ``given`` is what its customer says."""

    actor: Actor
    customer: Customer
    project: str
    persisted: bool
    given: Mapping[str, str]


def create(ports: Ports, asked: Founding, *, now: datetime) -> StatisticsProject:
    """A federation with this project as its first node, and its customer as its admin.

    Raises Invalid, NotSupported, ProjectTaken, FederationTaken, and what the transport raises; then nothing is left.
    """
    given = asked.given
    name, schedule, identity = keys.fed_name(given), keys.schedule(given), Identity.new()
    key = b"" if given.get("fed_encrypt") == CLEAR else os.urandom(KEY_BYTES)
    certificate = Certificate(name, identity.node, _local_name(asked), identity.public, identity.box).signed(identity)
    private = Private(
        identity=identity, admin_key=identity.public, keys={key_id(key) if key else CLEAR: key},
        told=keys.told(given), certificate=certificate, members={identity.node: certificate},
    )  # fmt: skip
    node = Node(me=identity.node, admin=identity.node, schedule=schedule)
    seat = _made(ports, asked, name, node, private, now)
    try:
        invited, own = seat.exchange.open(seat.member), seat.exchange.join(seat.member)
        with changing(ports, seat.row.pk) as seat:
            seat.private = replace(seat.private, invited=dict(invited), applicant=dict(own))
    except BaseException:
        seat.project.delete()
        raise
    return seat.project


def join(ports: Ports, asked: Founding, *, now: datetime) -> Seat:
    """A new node of a federation that an invitation tells of; it still has to be let in.

    Raises Invalid, NotSupported, ProjectTaken, and what the transport raises; then nothing is left.
    """
    given, identity = asked.given, Identity.new()
    name, token = keys.fed_name(given), keys.needed(given, "fed_req_token")
    admin_key = _key_in(given, "fed_admin_key")
    kid, key = _shared_key(given)
    private = Private(identity=identity, admin_key=admin_key, keys={kid: key}, told=keys.told(given), token=token)
    node = Node(me=identity.node, admin=node_of(admin_key), schedule=keys.schedule(given))
    seat = _made(ports, asked, name, node, private, now)
    try:
        applicant = seat.exchange.join(seat.member)
        with changing(ports, seat.row.pk) as seat:
            seat.private = replace(seat.private, applicant=dict(applicant))
    except BaseException:
        seat.project.delete()
        raise
    return seat


def ask_by_message(ports: Ports, pk: int, *, now: datetime) -> None:
    """Ask the admin over the federation's transport, where its server cannot be reached."""
    with changing(ports, pk) as seat:
        if seat.private.certificate is None:
            queue(seat, Kind.JOIN, asking(seat), now)


def undo(seat: Seat) -> None:
    """Remove a node that was not let in. What its transport may keep of it is refused by everybody."""
    with suppress(PlatformError):
        seat.exchange.leave(seat.member)
    seat.project.delete()


def _made(ports: Ports, asked: Founding, name: str, node: Node, private: Private, now: datetime) -> Seat:
    """The project and its membership, committed before anything is asked of the transport."""
    options = keys.options(asked.given)
    transport = keys.transport_of(asked.given)
    keys.check_sign_in(asked.given)
    ports.exchanges.of(transport)
    device = device_for(ports, "fed_local_type", options.get("fed_local_type", ""))
    command = CreateProject(name=asked.project, histogram=True, persisted=asked.persisted, device=device)
    key = uuid4().hex
    with transaction.atomic():
        project = make_project(asked.actor, asked.customer, command, FEDERATED, now=now, on_change=CHANGED_JOB)
        row = Membership.objects.create(
            project=project, federation=name, key=key, node=node.me, transport=transport, options=options,
            sealed=sealed(ports, key, private), state=node.to_json(), created_at=now,
        )  # fmt: skip
        audit.record(
            asked.actor, "federate", f"statistics-project:{asked.customer.cid}/{project.name}"[:300],
            organisation_id=asked.customer.organisation_id, now=now, federation=name, node=node.me,
        )  # fmt: skip
    seat = seat_at(ports, row.pk)
    assert seat is not None, "it was just made"  # noqa: S101
    return seat


def _shared_key(given: Mapping[str, str]) -> tuple[str, bytes]:
    text = keys.needed(given, "fed_secret_key")
    if text == CLEAR:
        if given.get("fed_encrypt") != CLEAR:
            raise Invalid("the federation's messages are not sealed; say fed_encrypt=clear if you want to join it")
        return CLEAR, b""
    key = _key_in(given, "fed_secret_key")
    return key_id(key), key


def _key_in(given: Mapping[str, str], name: str) -> bytes:
    try:
        return decoded(keys.needed(given, name), KEY_BYTES)
    except NotTrusted:
        raise Invalid(f"{name} is {KEY_BYTES} bytes in Base64; take it from the invitation as it is") from None


def _local_name(asked: Founding) -> str:
    return (asked.given.get("fed_local_id") or asked.project)[:200]
