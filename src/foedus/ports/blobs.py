"""Where the bytes are: models, updates, reports. Blobs are immutable once written, unless overwritten on purpose."""

from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Protocol, runtime_checkable

from foedus.core.errors import Invalid, NotFound, Unavailable

MAX_KEY_CHARACTERS = 512
READ_CHUNK_BYTES = 1 << 20


class BlobMissing(NotFound):
    """There is no blob under this key."""


class BlobsUnavailable(Unavailable):
    """The blob store does not answer."""


class BadBlobKey(Invalid):
    """A blob's key is 1 to 512 printable characters."""


@dataclass(frozen=True, slots=True)
class BlobInfo:
    """``changed_at`` is when it was written, or later: by the store's own clock."""

    key: str
    size_bytes: int
    changed_at: datetime | None = field(default=None, compare=False)


def check_key(key: str) -> str:
    """``key``, if it may name a blob; raises BadBlobKey. None is special: ``..`` and ``/`` are letters like others."""
    if not key or len(key) > MAX_KEY_CHARACTERS or not key.isprintable():
        raise BadBlobKey(key=key[:80])
    return key


class Blobs(Protocol):
    """Bytes under keys.

    A key is any text that ``check_key`` lets pass. A blob appears at once and whole, and survives a crash of any
    process the moment ``put`` returns. Writing an existing key replaces it. Readers that have begun keep what they
    began with. Safe to use from many threads and processes.
    """

    def put(self, key: str, data: bytes) -> None:
        """Store ``data``. Raises BlobsUnavailable; then nothing is stored."""
        ...

    def put_file(self, key: str, path: Path) -> None:
        """Store the content of the file at ``path`` and remove the file. Never reads it into memory as a whole."""
        ...

    def read(
        self, key: str, start: int = 0, stop: int | None = None, *, chunk_bytes: int = READ_CHUNK_BYTES
    ) -> Iterator[bytes]:
        """The bytes from ``start`` up to ``stop`` (None: the end) in chunks of at most ``chunk_bytes``.

        Raises BlobMissing on the call itself, not at the first chunk. A range outside of the blob gives nothing.
        """
        ...

    def local(self, key: str) -> AbstractContextManager[Path]:
        """The blob as a read-only file on this machine, there for the duration of the context. Raises BlobMissing."""
        ...

    def stat(self, key: str) -> BlobInfo:
        """Size of a blob. Raises BlobMissing."""
        ...

    def list(self, prefix: str = "") -> Iterator[BlobInfo]:
        """All blobs whose key starts with ``prefix``, ordered by key."""
        ...

    def delete(self, *keys: str) -> None:
        """Remove blobs, for good once it returns; a key that has none is no error.

        Many at once, where there are many: a store may wait for its disk once for all of them.
        """
        ...

    def close(self) -> None:
        """Give back connections. The blobs stay."""
        ...


@runtime_checkable
class SignsAddresses(Protocol):
    """What some stores can do besides: let others fetch or leave one blob, without credentials, for a while."""

    def download_address(self, key: str, *, content_type: str, seconds: int) -> str:
        """Where GET gives the blob, as ``content_type``. Whether there is one is not looked at."""
        ...

    def upload_address(self, key: str, *, size_bytes: int, seconds: int) -> str:
        """Where PUT leaves a blob of exactly that size."""
        ...
