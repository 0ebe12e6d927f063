"""Files that are handed to this node, to be sold later: whoever has the address that it gives may list them.

An address is a secret, like the key of a lock: it cannot be guessed, and is sealed before anything is published.
What nobody has listed within a day goes with the garbage; files of a listed asset stay as long as that is listed.
"""

import re
from base64 import urlsafe_b64encode
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import PurePosixPath
from secrets import token_bytes, token_hex
from urllib.parse import quote

from foedus.core.errors import Invalid, Unavailable
from foedus.core.market.rules import Uploads
from foedus.ports import Ports
from foedus.ports.blobs import BlobInfo
from foedus.services.market.promises import UPLOADS as FOLDER
from foedus.services.shell.garbage import MIN_AGE
from foedus.services.shell.staging import staged

SCHEME = "foedus-upload:"
_URL = re.compile(rf"{SCHEME}([0-9a-f]{{32}})/.*")
_MAX_FILES = 10_000
_LOOK_S = 3600.0  # garbage is collected as often
_KEY_BYTES, _NONCE_BYTES = 32, 12


class UploadsOff(Invalid):
    """This node takes no uploads under that name."""


@dataclass(frozen=True, slots=True)
class Kept:
    """``password`` is the key by which the file was encrypted (AES-256, base64url); empty where it was not."""

    url: str
    password: str


def check_open(rules: Uploads, name: str) -> None:
    """Raises UploadsOff."""
    if name not in rules.names:
        known = f"it knows {', '.join(rules.names)}" if rules.names else "it takes none at all"
        raise UploadsOff(f"this node takes no uploads to {name[:40]!r}; {known}")


def keep(ports: Ports, rules: Uploads, name: str, content: Iterable[bytes], *, encrypt: bool, now: datetime) -> Kept:
    """Raises TooLarge for the file, Unavailable where there is no room for more; it says when there may be."""
    found = list(ports.blobs.list(FOLDER))
    if sum(blob.size_bytes for blob in found) + rules.each > rules.total or len(found) >= _MAX_FILES:
        raise _full(found, now)
    key = token_bytes(_KEY_BYTES) if encrypt else b""
    token = token_hex(16)
    with staged(ports.scratch, _encrypted(key, content) if encrypt else content, rules.each) as whole:
        ports.blobs.put_file(FOLDER + token, whole.path)
    _check_room(ports, rules, FOLDER + token, now)
    called = quote(PurePosixPath(name.replace("\\", "/")).name[:100] or "file", safe="")
    return Kept(f"{SCHEME}{token}/{called}", urlsafe_b64encode(key).decode())


def blob_of(url: str) -> str:
    """The blob that an address stands for. Raises Invalid."""
    found = _URL.fullmatch(url)
    if found is None:
        raise Invalid("this is no address of an upload", field="url")
    return FOLDER + found[1]


def _check_room(ports: Ports, rules: Uploads, key: str, now: datetime) -> None:
    """Take an upload back where others, under way at once, left no room for it: the last that came sees them all."""
    found = list(ports.blobs.list(FOLDER))
    if sum(blob.size_bytes for blob in found) > rules.total or len(found) > _MAX_FILES:
        ports.blobs.delete(key)
        raise _full([blob for blob in found if blob.key != key], now)


def _full(found: Iterable[BlobInfo], now: datetime) -> Unavailable:
    ends = [blob.changed_at + MIN_AGE for blob in found if blob.changed_at is not None]
    first = min((end for end in ends if end > now), default=None)
    if first is None:
        return Unavailable("this node has no room for more uploads: what it keeps is listed", retry_after_s=_LOOK_S)
    seconds = (first - now).total_seconds()
    return Unavailable(
        "this node has no room for more uploads; there may be within an hour of "
        f"{first:%Y-%m-%dT%H:%M:%SZ}, when one that nobody listed ends",
        retry_after_s=seconds,
    )


def _encrypted(key: bytes, content: Iterable[bytes]) -> Iterator[bytes]:
    """AES-256-GCM: 12 bytes of nonce, the content, 16 bytes of tag."""
    nonce = token_bytes(_NONCE_BYTES)
    from cryptography.hazmat.primitives.ciphers import Cipher  # the garbage, which comes here too, needs none
    from cryptography.hazmat.primitives.ciphers.algorithms import AES
    from cryptography.hazmat.primitives.ciphers.modes import GCM

    encryptor = Cipher(AES(key), GCM(nonce)).encryptor()
    yield nonce
    for chunk in content:
        yield encryptor.update(chunk)
    yield encryptor.finalize() + encryptor.tag
