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
from pathlib import Path, PurePosixPath

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from foedus.core.codecs.strict_json import parse
from foedus.core.errors import Invalid, NotFound
from foedus.core.market.documents import Document
from foedus.core.market.fields import MAX_ITEMS, text
from foedus.ports import Ports
from foedus.ports.files import Fetched
from foedus.services.shell.staging import on_disk

KEY_NAME = "market-files-key"
OWN = "foedus:"
MAX_MESSAGE_CHARACTERS = 1 << 18
_MARK = "foedus1."
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
    nonce = secrets.token_bytes(_NONCE_BYTES)
    sealed = nonce + AESGCM(_key(ports)).encrypt(nonce, message.encode(), _ABOUT)
    return _MARK + urlsafe_b64encode(sealed).decode()


def unseal(ports: Ports, sealed: str) -> str:
    """Raises Unreadable."""
    if not sealed.startswith(_MARK):
        raise Unreadable
    try:
        raw = urlsafe_b64decode(sealed.removeprefix(_MARK))
        return AESGCM(_key(ports)).decrypt(raw[:_NONCE_BYTES], raw[_NONCE_BYTES:], _ABOUT).decode()
    except (NotBase64, InvalidTag, ValueError) as exc:
        raise Unreadable from exc


def files_of(ports: Ports, document: Document) -> tuple[Location, ...]:
    """The files of an asset, in their order. Raises Unreadable, Invalid for a list that is none."""
    sealed = text(document.metadata.attributes, "encryptedFiles", "attributes", default="")
    if not sealed:
        return ()
    listed = parse(unseal(ports, sealed).encode(), max_depth=8)
    if not isinstance(listed, list) or len(listed) > MAX_ITEMS or not all(isinstance(each, dict) for each in listed):
        raise Invalid("the sealed list of files is no list of objects", field="encryptedFiles")
    return tuple(_location(place, each) for place, each in enumerate(listed))


@contextmanager
def fetch(ports: Ports, location: Location) -> Iterator[Fetched]:
    """Raises as ``Files.fetch`` does, and NotFound for a file of ours that is gone."""
    if location.url.startswith(OWN):
        key = location.url.removeprefix(OWN)
        yield Fetched(location.name, ports.blobs.read(key), ports.blobs.stat(key).size_bytes)
        return
    with ports.files.fetch(location.url) as fetched:
        yield fetched


def save(ports: Ports, location: Location, folder: Path) -> Path:
    """The file, as one of this machine below ``folder``."""
    path = folder / location.name
    with fetch(ports, location) as fetched, on_disk(), path.open("xb") as file:
        for chunk in fetched.chunks:
            file.write(chunk)
    return path


def sealed_list(ports: Ports, locations: tuple[Location, ...]) -> str:
    return seal(ports, json.dumps([{"index": i, "name": at.name, "url": at.url} for i, at in enumerate(locations)]))


def location_at(ports: Ports, document: Document, index: int) -> Location:
    found = files_of(ports, document)
    if index >= len(found):
        raise NotFound(f"the asset has {len(found)} files, and none of the index {index}")
    return found[index]


def _location(place: int, source: dict[str, object]) -> Location:
    url = text(source, "url", f"files[{place}]")
    path = url.removeprefix(OWN) if url.startswith(OWN) else url.partition("?")[0]
    name = text(source, "name", f"files[{place}]", default="") or PurePosixPath(path).name or f"file-{place}"
    return Location(name, url)


def _key(ports: Ports) -> bytes:
    kept = ports.secrets.get_or_create(KEY_NAME, 48).reveal().encode()
    return HKDF(SHA256(), 32, salt=None, info=_ABOUT).derive(kept)
