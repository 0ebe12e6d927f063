"""Messages on their way: sealed with the federation's key, and signed by the node that sends them.

``FFED``, the length of a header (u32, little-endian), the header (JSON), a signature over it (64 bytes), and what is
sealed: the length of the body (u32), the body (JSON) and the content. The header has the digest of what is sealed, and
what is sealed is bound to the header, so that no part can be taken for another message's. A message with a new key is
under none of those before: it holds the key sealed for each node, and has to be read by nodes that missed some.
"""

import hashlib
import json
import os
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from foedus.core.codecs import strict_json
from foedus.core.errors import Invalid
from foedus.core.federation.messages import Kind, Message, text, whole
from foedus.ports.exchange import Delivery
from foedus.services.federation.errors import NotTrusted, UnknownKey
from foedus.services.federation.identities import Certificate, Identity, decoded, encoded, node_of, verified
from foedus.services.shell.sealing import NONCE_BYTES

MAGIC = b"FFED"
CLEAR = "clear"  # the id of the key that is none: for federations that were made with fed_encrypt=clear
MAX_HEADER = 16 << 10
MAX_BODY = 1 << 20
STALE_S = 60.0  # a fifth of what clocks may be off
_LENGTH = struct.Struct("<I")
_SIGNATURE = 64


@dataclass(frozen=True, slots=True)
class Ring:
    """What opens messages of a federation: its keys by id, the newest last, and the admin's public key."""

    federation: str
    admin_key: bytes
    keys: Mapping[str, bytes]

    @property
    def newest(self) -> str:
        return list(self.keys)[-1]


@dataclass(frozen=True, slots=True)
class Opened:
    """``certificate`` is None for somebody who asks to be let in, and is known by no more than a token."""

    message: Message
    certificate: Certificate | None


def key_id(key: bytes) -> str:
    return hashlib.sha256(b"foedus federation key v1\n" + key).hexdigest()[:16]


def seal_message(ring: Ring, identity: Identity, certificate: Certificate | None, message: Message) -> bytes:
    kid = CLEAR if message.kind is Kind.ROTATE else ring.newest
    nonce = b"" if kid == CLEAR else os.urandom(NONCE_BYTES)
    header: dict[str, Any] = {
        "v": 1, "fed": ring.federation, "kind": message.kind.value, "from": message.sender, "seq": message.seq,
        "ts": message.at, "key_id": kid, "nonce": nonce.hex(),
        "cert": certificate.to_json() if certificate is not None else None,
        "key": encoded(identity.public),
    }  # fmt: skip
    body = json.dumps(dict(message.body), separators=(",", ":")).encode()
    plain = b"".join([_LENGTH.pack(len(body)), body, message.content])
    sealed = plain if kid == CLEAR else AESGCM(ring.keys[kid]).encrypt(nonce, plain, _written(header))
    head = _written({**header, "digest": hashlib.sha256(sealed).hexdigest()})
    return b"".join([MAGIC, _LENGTH.pack(len(head)), head, identity.sign(_said(head)), sealed])


def open_message(ring: Ring, delivery: Delivery) -> Opened:
    """Raises NotTrusted, Invalid: whatever is wrong, and whoever sent it."""
    head, signature, sealed = _parts(delivery.data)
    header = strict_json.parse(bytes(head), max_depth=3)
    if not isinstance(header, dict) or header.get("v") != 1:
        raise NotTrusted("its form is unknown")
    if header.get("fed") != ring.federation:
        raise NotTrusted("it belongs to another federation")
    sender, public = text(header, "from"), decoded(header.get("key"), 32)
    if node_of(public) != sender or delivery.sender not in ("", sender):
        raise NotTrusted("its sender claims to be another node")
    certificate = None
    if header.get("cert") is not None:
        certificate = Certificate.from_json(header["cert"])
        certificate.check(ring.federation, ring.admin_key)
        if certificate.node != sender:
            raise NotTrusted("its sender shows the certificate of another node")
    if not verified(public, signature, _said(bytes(head))):
        raise NotTrusted("its signature is wrong")
    body, content = _unsealed(ring, header, sealed)
    message = Message(
        kind=_kind(header), sender=sender, seq=whole(header, "seq"), at=_moment(header), carried_at=delivery.at,
        body=body, content=content,
    )  # fmt: skip
    return Opened(message, certificate)


def renewed(ring: Ring, identity: Identity, certificate: Certificate | None, data: bytes, now: float) -> bytes:
    """A message of one's own that waited for the transport, as of now: what comes long after its time is refused."""
    head, _, sealed = _parts(data)
    header = strict_json.parse(bytes(head), max_depth=3)
    if abs(now - header["ts"]) <= STALE_S:
        return data
    try:
        body, content = _unsealed(ring, header, sealed)
    except UnknownKey:
        return data  # nobody can read it any more; what waits behind it has to go on
    message = Message(
        kind=_kind(header), sender=header["from"], seq=header["seq"], at=now, carried_at=now, body=body, content=content
    )
    return seal_message(ring, identity, certificate, message)


def claimed_sender(delivery: Delivery) -> str:
    """Who a message says it is from, for logs: not to be trusted."""
    return delivery.sender[:32] or "somebody"


def _parts(data: bytes) -> tuple[memoryview, bytes, memoryview]:
    view = memoryview(data)
    if bytes(view[:4]) != MAGIC or len(view) < 8:
        raise NotTrusted("it is no message of a federation")
    (length,) = _LENGTH.unpack(view[4:8])
    if length > MAX_HEADER or len(view) < 8 + length + _SIGNATURE:
        raise NotTrusted("it is cut short, or its header is too long")
    end = 8 + length
    return view[8:end], bytes(view[end : end + _SIGNATURE]), view[end + _SIGNATURE :]


def _unsealed(ring: Ring, header: dict[str, Any], sealed: memoryview) -> tuple[Mapping[str, Any], bytes]:
    if hashlib.sha256(sealed).hexdigest() != header.get("digest"):
        raise NotTrusted("its content is not what its header says")
    kid = text(header, "key_id")
    key = b"" if kid == CLEAR and header.get("kind") == Kind.ROTATE else ring.keys.get(kid)
    if key is None:
        raise UnknownKey
    about = {name: value for name, value in header.items() if name != "digest"}
    try:
        plain = memoryview(sealed if not key else AESGCM(key).decrypt(_nonce(header), bytes(sealed), _written(about)))
    except (InvalidTag, ValueError):
        raise NotTrusted("its seal is broken") from None
    if len(plain) < _LENGTH.size:
        raise NotTrusted("it is cut short")
    (length,) = _LENGTH.unpack(plain[: _LENGTH.size])
    end = _LENGTH.size + length
    if length > MAX_BODY or end > len(plain):
        raise NotTrusted("its body is cut short, or too long")
    body = strict_json.parse(bytes(plain[_LENGTH.size : end]), max_depth=5)
    if not isinstance(body, dict):
        raise NotTrusted("its body is no object")
    return body, bytes(plain[end:])


def _nonce(header: dict[str, Any]) -> bytes:
    return bytes.fromhex(text(header, "nonce"))


def _kind(header: dict[str, Any]) -> Kind:
    try:
        return Kind(text(header, "kind"))
    except ValueError:
        raise Invalid("it is of a kind that is unknown here") from None


def _moment(header: dict[str, Any]) -> float:
    value = header.get("ts")
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < 1e11:
        raise NotTrusted("its time is none")
    return float(value)


def _written(header: Mapping[str, Any]) -> bytes:
    return json.dumps(header, separators=(",", ":"), sort_keys=True).encode()


def _said(head: bytes) -> bytes:
    return b"foedus federation message v1\n" + head
