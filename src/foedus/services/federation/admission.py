"""Letting nodes in: tokens that count once and for a while, and certificates for those who spend them."""

import hashlib
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from foedus.core.errors import Conflict, Invalid
from foedus.core.federation.messages import Kind, Message, check_sound, text
from foedus.core.federation.peers import MAX_PEERS
from foedus.core.federation.protocol import Effect, Log, Send
from foedus.records.federation.models import Token
from foedus.services.federation.errors import BadToken, NotTrusted
from foedus.services.federation.identities import Certificate, decoded, encoded, node_of
from foedus.services.federation.membership import Seat

PREFIX = "FEDTOKEN"
DEFAULT_HOURS = 2.0
MAX_HOURS = 24.0 * 31
MAX_TOKENS = 1_000  # that are kept of a federation
SHOWN = 20  # of the nodes that were let in last


@dataclass(frozen=True, slots=True, kw_only=True)
class Applicant:
    """Who asks to be let in, and what for: ``told`` is what its transport wants the admin to know."""

    token: str
    node: str
    name: str
    public: bytes
    box: bytes
    told: Mapping[str, str]

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> "Applicant":
        """Raises NotTrusted, Invalid."""
        told = value.get("told", {})
        if not isinstance(told, dict) or len(told) > 20:
            raise Invalid("what the transport is to know is no map")
        public = decoded(value.get("key"), 32)
        if node_of(public) != value.get("node_uuid"):
            raise NotTrusted("its id is not that of its key")
        return cls(
            token=text(value, "fed_req_token", 60), node=node_of(public), name=text(value, "name"), public=public,
            box=decoded(value.get("box"), 32), told={str(k)[:60]: text(told, k, 2_000) for k in told},
        )  # fmt: skip


def new_token(seat: Seat, hours: float, now: datetime) -> str:
    """In the caller's transaction. Raises Invalid, Conflict."""
    if not 0 < hours <= MAX_HOURS:
        raise Invalid(f"an invitation is good for up to {MAX_HOURS:.0f} hours, not {hours:g}")
    Token.objects.filter(membership=seat.row, node="", expires_at__lt=now).delete()
    if Token.objects.filter(membership=seat.row).count() >= MAX_TOKENS:
        raise Conflict(f"a federation has at most {MAX_TOKENS} invitations")
    token = PREFIX + secrets.token_hex(8)
    Token.objects.create(membership=seat.row, digest=_digest(token), expires_at=now + timedelta(hours=hours))
    return token


def admit(seat: Seat, applicant: Applicant, now: datetime) -> Certificate:
    """Spend the token and certify the node, in the caller's transaction; the same once more for the same node.

    Raises BadToken, Conflict.
    """
    row = Token.objects.filter(membership=seat.row, digest=_digest(applicant.token)).first()
    if row is None or row.node not in ("", applicant.node) or (not row.node and row.expires_at <= now):
        raise BadToken
    if applicant.node in seat.node.removed:
        raise BadToken("the node was removed from the federation; make a new one to join again")
    known = seat.private.members.get(applicant.node)
    if known is not None:
        return known
    if len(seat.private.members) >= MAX_PEERS:
        raise Conflict(f"a federation has at most {MAX_PEERS} nodes")
    bare = Certificate(seat.row.federation, applicant.node, applicant.name, applicant.public, applicant.box)
    certificate = bare.signed(seat.private.identity)
    Token.objects.filter(pk=row.pk).update(node=applicant.node, applicant=dict(applicant.told))
    seat.private = replace(seat.private, members={**seat.private.members, applicant.node: certificate})
    return certificate


def asked(seat: Seat, message: Message, now: datetime) -> tuple[Effect, ...]:
    """A node that cannot reach the admin's server asks by message; all get the answer. Raises NotTrusted, Invalid."""
    if message.kind is not Kind.JOIN:
        raise NotTrusted("its sender was not let in by the federation's admin")
    if not seat.node.is_admin:
        return ()
    check_sound(message, now.timestamp())
    applicant, sender = Applicant.from_json(message.body), message.sender
    if applicant.node != sender:
        raise NotTrusted("it asks for another node")
    admit(seat, applicant, now)
    shown = list(seat.private.members.items())[-SHOWN:]
    admitted = {node: certificate.to_json() for node, certificate in shown}
    return Send(Kind.JOIN, {"admitted": admitted}), Log(f"let {sender[:8]} in, who asked by message", error=False)


def asking(seat: Seat) -> dict[str, Any]:
    """What a node without a certificate tells the admin, over either way."""
    private = seat.private
    return {
        "fed_req_token": private.token, "node_uuid": seat.row.node, "name": seat.name,
        "key": encoded(private.identity.public), "box": encoded(private.identity.box), "told": dict(private.applicant),
    }  # fmt: skip


def _digest(token: str) -> str:
    return hashlib.sha256(f"foedus federation token\n{token}".encode()).hexdigest()
