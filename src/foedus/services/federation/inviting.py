"""Invitations, and what the admin's server answers to a server that was invited."""

import json
import os
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from foedus.core.codecs import strict_json
from foedus.core.errors import Conflict, Forbidden, Invalid
from foedus.ports import Ports
from foedus.records.statistics.models import StatisticsProject
from foedus.services.customers.invitations import seal_invitation, seal_legacy_invitation
from foedus.services.federation import admission, keys
from foedus.services.federation.effects import certified, log
from foedus.services.federation.envelopes import CLEAR, key_id
from foedus.services.federation.errors import NotFederated, NotTrusted
from foedus.services.federation.identities import Certificate, decoded, encoded, open_for, seal_for
from foedus.services.federation.membership import Seat, changing, find_seat
from foedus.services.shell.sealing import NONCE_BYTES, derived


@dataclass(frozen=True, slots=True)
class Invite:
    """``url``: where the invited server asks to be let in. ``legacy``: the password's old scheme is wanted."""

    password: str
    url: str
    hours: float = admission.DEFAULT_HOURS
    legacy: bool = False


def invitation(ports: Ports, project: StatisticsProject, invite: Invite, *, now: datetime) -> str:
    """A text for one new node, sealed with the password. Raises NotFederated, Forbidden, Invalid."""
    with changing(ports, find_seat(ports, project).row.pk) as seat:
        if not seat.node.is_admin:
            raise Forbidden("only the federation's admin invites")
        if seat.left:
            raise Conflict("the federation ended when its admin left it; create another one")
        told = _told(seat, invite, admission.new_token(seat, invite.hours, now))
    plain = json.dumps(told, separators=(",", ":")).encode()
    seal = seal_legacy_invitation if invite.legacy else seal_invitation
    return seal(invite.password, plain)


def _told(seat: Seat, invite: Invite, token: str) -> dict[str, str]:
    key = seat.private.keys[seat.ring.newest]
    shared = {} if key else {"fed_encrypt": CLEAR}
    if seat.sums:
        shared["fed_use_smpc"] = "true"
    return {
        "sync_sched": seat.node.schedule, "fed_name": seat.row.federation,
        "fed_secret_key": encoded(key) if key else CLEAR, "fed_req_token": token, "fed_rest_url": invite.url,
        "fed_admin_key": encoded(seat.private.admin_key), **shared, **keys.published(seat.private.invited),
    }  # fmt: skip


def application(seat: Seat) -> bytes:
    """What a new node's server sends to the admin's."""
    return _sealed(seat, json.dumps(admission.asking(seat)).encode(), "application")


def answer(ports: Ports, project: StatisticsProject, body: bytes, *, now: datetime) -> str:
    """Let a node in whose server asks. Raises NotFederated, BadToken, NotTrusted, Invalid."""
    seat = find_seat(ports, project)
    if not seat.node.is_admin:
        raise Forbidden("this node is not the federation's admin")
    applicant = admission.Applicant.from_json(_opened(seat, body, "application"))
    refused: Conflict | Invalid | None = None
    with changing(ports, seat.row.pk) as seat:
        try:
            certificate = admission.admit(seat, applicant, now)
        except (Conflict, Invalid) as exc:  # strangers are not told apart: one line is enough
            refused = exc
            log(seat, f"did not let a node in whose server asked: {exc.message}", now)
        else:
            log(seat, f"let {applicant.name or applicant.node[:8]} in", now, error=False)
    if refused is not None:  # once the line is committed
        raise refused
    if applicant.told:
        seat.exchange.admit(seat.member, applicant.node, applicant.told)
    key, epoch = seat.private.keys[seat.ring.newest], seat.private.epoch
    said: dict[str, Any] = {"certificate": certificate.to_json(), "epoch": epoch}
    if key:
        said["key"] = seal_for(applicant.box, key, f"epoch {epoch}")
    return _sealed(seat, json.dumps(said).encode(), "answer").decode()


def answer_stranger(ports: Ports, cid: str, name: str, body: bytes, *, now: datetime) -> str:
    """The same for whoever asks at the address of an invitation. Raises NotFederated, and what ``answer`` raises."""
    project = StatisticsProject.objects.filter(customer__cid=cid, name=name, customer__disabled_at=None).first()
    if project is None:
        raise NotFederated("there is no such federation here")
    return answer(ports, project, body, now=now)


def accept(ports: Ports, pk: int, text: bytes, *, now: datetime) -> None:
    """Take in what the admin's server answered. Raises NotTrusted, Invalid."""
    with changing(ports, pk) as seat:
        said = _opened(seat, text, "answer")
        certificate = Certificate.from_json(said.get("certificate"))
        certificate.check(seat.row.federation, seat.private.admin_key)
        if certificate.public != seat.private.identity.public:
            raise NotTrusted("the admin's server answered with another node's certificate")
        epoch = said.get("epoch")
        if "key" in said and isinstance(epoch, int):
            key = open_for(seat.private.identity, said["key"], f"epoch {epoch}")
            seat.private = seat.private.with_key(key_id(key), key, epoch)
        certified(seat, certificate, now)
        seat.private = replace(seat.private, token="")


def _sealed(seat: Seat, plain: bytes, what: str) -> bytes:
    nonce = os.urandom(NONCE_BYTES)
    sealed = AESGCM(_key(seat)).encrypt(nonce, plain, _about(seat, what))
    return json.dumps({"v": 2, "nonce": encoded(nonce), "ct": encoded(sealed)}).encode()


def _opened(seat: Seat, text: bytes, what: str) -> dict[str, Any]:
    value = strict_json.parse(text.strip(), max_depth=3)
    if not isinstance(value, dict) or value.get("v") != 2:
        raise Invalid("send {v, nonce, ct}, sealed with the federation's key")
    nonce, sealed = value.get("nonce"), value.get("ct")
    for key in reversed(list(seat.private.keys.values())):
        try:
            plain = AESGCM(_of(key)).decrypt(decoded(nonce, NONCE_BYTES), decoded(sealed), _about(seat, what))
        except (InvalidTag, NotTrusted):
            continue
        said = strict_json.parse(plain, max_depth=4)
        if isinstance(said, dict):
            return said
    raise NotTrusted("what was sent is not sealed with the federation's key")


def _key(seat: Seat) -> bytes:
    return _of(seat.private.keys[seat.ring.newest])


def _of(key: bytes) -> bytes:
    """In a federation that seals nothing this hides no more than its name does."""
    return derived(key or CLEAR.encode(), "foedus federation admission v1")


def _about(seat: Seat, what: str) -> bytes:
    return f"{what}\n{seat.row.federation}".encode()
