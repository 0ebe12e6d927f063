"""Where the files of assets lie: sealed in their documents, known to this node alone; and fetching them.

``encryptedFiles`` holds what ``seal`` made of the list of files, addresses and all, before the document was published.
Files that the node itself keeps lie among its blobs, under ``foedus:`` and their key.
"""

import json
import secrets
from base64 import urlsafe_b64decode, urlsafe_b64encode
from binascii import Error as NotBase64
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from errno import EDQUOT, ENOSPC
from pathlib import Path, PurePosixPath
from shutil import disk_usage
from typing import Self
from urllib.parse import unquote

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from django.db.models import Q

from foedus.core.codecs.strict_json import parse
from foedus.core.errors import Forbidden, Invalid, NotFound, Unavailable
from foedus.core.market.documents import Document
from foedus.core.market.fields import MAX_ITEMS, text
from foedus.ports import Ports
from foedus.ports.files import Fetched
from foedus.records.market.models import Account
from foedus.services.market import uploads
from foedus.services.market.node import node_key
from foedus.services.shell.staging import on_disk

KEY_NAME = "market-files-key"
OWN = "foedus:"
MAX_MESSAGE_CHARACTERS = 1 << 18
GIVEN, _MADE = "foedus1.", "foedus1-own."  # a text that somebody had sealed, and a list that this node made
_NONCE_BYTES = 12
_ABOUT = b"foedus market files v1"


class Unreadable(Invalid):
    """The files of this asset were sealed by another node, or not at all: this one cannot read them."""


@dataclass(frozen=True, slots=True)
class Location:
    """A file of an asset: its name, and where it lies."""

    name: str
    url: str


def seal(ports: Ports, message: str) -> str:
    """``message`` as only this node can read it again."""
    if not 0 < len(message) <= MAX_MESSAGE_CHARACTERS:
        raise Invalid(f"a message has 1 to {MAX_MESSAGE_CHARACTERS} characters", field="message")
    return _sealed(ports, message, GIVEN)


def unseal(ports: Ports, sealed: str) -> str:
    """Raises Unreadable, also for a sealed text that is written in another way than this node writes it."""
    mark = next((mark for mark in (GIVEN, _MADE) if sealed.startswith(mark)), None)
    if mark is None:
        raise Unreadable
    try:
        raw = urlsafe_b64decode(sealed.removeprefix(mark))
        if mark + urlsafe_b64encode(raw).decode() != sealed:
            raise Unreadable
        return AESGCM(_key(ports)).decrypt(raw[:_NONCE_BYTES], raw[_NONCE_BYTES:], _about(mark)).decode()
    except (NotBase64, InvalidTag, ValueError) as exc:
        raise Unreadable from exc


def sealed_of(document: Document) -> str:
    """The sealed list of an asset's files; empty where it has none. Raises Invalid for what is no text."""
    return text(document.metadata.attributes, "encryptedFiles", "attributes", default="")


def files_of(ports: Ports, document: Document, owner: str) -> tuple[Location, ...]:
    """The files of an asset and its owner, in their order.

    Anybody may seal and publish a list, so what it names is no more than its owner may reach: the web. Files of this
    machine are for assets of the node, of administrators, and of who was trusted with them. Raises Unreadable,
    Forbidden, Invalid for no such list.
    """
    sealed = sealed_of(document)
    if not sealed:
        return ()
    listed = parse(unseal(ports, sealed).encode(), max_depth=8)
    if not isinstance(listed, list) or len(listed) > MAX_ITEMS or not all(isinstance(each, dict) for each in listed):
        raise Invalid("the sealed list of files is no list of objects", field="encryptedFiles")
    found = tuple(_location(place, each) for place, each in enumerate(listed))
    if not sealed.startswith(_MADE) and any(location.url.startswith(OWN) for location in found):
        raise Invalid("only this node itself lists files that it keeps", field="encryptedFiles")
    if any(location.url.lower().startswith("file:") for location in found) and not _is_trusted(ports, owner):
        raise Forbidden("only whom the node's operator trusts (foedus market trust) names files of its machine")
    return found


@contextmanager
def fetch(ports: Ports, location: Location) -> Iterator[Fetched]:
    """Raises as ``Files.fetch`` does, and NotFound for a file of ours that is gone."""
    if location.url.startswith(OWN):
        yield _kept(ports, location.name, location.url.removeprefix(OWN))
        return
    if location.url.startswith(uploads.SCHEME):
        yield _kept(ports, location.name, uploads.blob_of(location.url))
        return
    with ports.files.fetch(location.url) as fetched:
        yield fetched


@dataclass(slots=True)
class Room:
    """How many bytes all the files that somebody wants to be saved may have together; ``left`` of them yet."""

    most: int
    left: int

    @classmethod
    def on(cls, folder: Path, most: int) -> Self:
        """``most``, or half of what is free there: what runs gets a copy, and others need room as well."""
        most = min(most, disk_usage(folder).free // 2)
        return cls(most, most)

    def take(self, size: int) -> None:
        """Raises Invalid where that is more than is left."""
        self.left -= size
        if self.left < 0:
            raise Invalid(f"the files that it reads have more than {self.most} bytes, which is all this node takes now")


def save(ports: Ports, location: Location, path: Path, room: Room) -> Path:
    """The file, as one of this machine: at ``path``, which is ours to choose, as its name is not.

    Raises Invalid where there is no room for it, Unavailable for what may pass by itself.
    """
    with fetch(ports, location) as fetched, _full_is_final(), path.open("xb") as file:
        for chunk in fetched.chunks:
            room.take(len(chunk))
            file.write(chunk)
    return path


@contextmanager
def _full_is_final() -> Iterator[None]:
    try:
        with on_disk():
            yield
    except Unavailable as exc:
        if isinstance(exc.__cause__, OSError) and exc.__cause__.errno in (ENOSPC, EDQUOT):
            raise Invalid("the disk of this node has no room for the files that it reads") from exc
        raise


def sealed_list(ports: Ports, locations: tuple[Location, ...]) -> str:
    """What may name files that this node keeps: never made of what others wrote."""
    listed = [{"index": i, "name": at.name, "url": at.url} for i, at in enumerate(locations)]
    return _sealed(ports, json.dumps(listed), _MADE)


def location_at(ports: Ports, document: Document, owner: str, index: int) -> Location:
    found = files_of(ports, document, owner)
    if index >= len(found):
        raise NotFound(f"the asset has {len(found)} files, and none of the index {index}")
    return found[index]


def _location(place: int, source: dict[str, object]) -> Location:
    url = text(source, "url", f"files[{place}]")
    path = url.removeprefix(OWN) if url.startswith(OWN) else url.partition("?")[0]
    name = text(source, "name", f"files[{place}]", default="") or unquote(PurePosixPath(path).name) or f"file-{place}"
    return Location(name, url)


def _kept(ports: Ports, name: str, key: str) -> Fetched:
    return Fetched(name, ports.blobs.read(key), ports.blobs.stat(key).size_bytes)


def _is_trusted(ports: Ports, owner: str) -> bool:
    if owner == node_key(ports.secrets).address:
        return True
    trusted = Q(is_administrator=True) | Q(offers_files=True)
    return bool(owner) and Account.objects.filter(trusted, address=owner).exists()


def _sealed(ports: Ports, message: str, mark: str) -> str:
    nonce = secrets.token_bytes(_NONCE_BYTES)
    sealed = nonce + AESGCM(_key(ports)).encrypt(nonce, message.encode(), _about(mark))
    return mark + urlsafe_b64encode(sealed).decode()


def _about(mark: str) -> bytes:
    return _ABOUT + b" " + mark.encode()


def _key(ports: Ports) -> bytes:
    kept = ports.secrets.get_or_create(KEY_NAME, 48).reveal().encode()
    return HKDF(SHA256(), 32, salt=None, info=_ABOUT).derive(kept)
