"""Bodies on their way in: hashed and counted while they go to a scratch file, refused as soon as they are too large."""

import hashlib
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Self
from uuid import uuid4

from foedus.core.errors import Invalid, TooLarge, Unavailable


@dataclass(frozen=True, slots=True)
class Staged:
    """A whole body on this machine: ``digest`` is its SHA-256 in hexadecimal."""

    path: Path
    digest: str
    size_bytes: int


@dataclass(frozen=True, slots=True)
class Held:
    """A whole body in memory, where it is small."""

    data: bytes
    digest: str

    @property
    def size_bytes(self) -> int:
        return len(self.data)


class Staging:
    """Takes a body in pieces. Use as a context: what was not moved away is removed on leaving it.

    Raises Unavailable where no file can be made.
    """

    def __init__(self, scratch: Path, limit_bytes: int) -> None:
        self._path = scratch / f"{uuid4().hex}.part"
        self._limit = limit_bytes
        self._hash = hashlib.sha256()
        self._size = 0
        with on_disk():
            self._file = self._path.open("xb", buffering=0)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def close(self) -> None:
        """Remove what is still there; doing so twice is harmless."""
        self._file.close()
        self._path.unlink(missing_ok=True)

    def write(self, data: bytes | memoryview) -> None:
        """Take the next piece. Raises TooLarge past the limit, Unavailable when the disk is full."""
        self._size += len(data)
        if self._size > self._limit:
            raise TooLarge(f"the body is larger than the {self._limit} bytes allowed here", limit_bytes=self._limit)
        self._hash.update(data)
        with on_disk():
            view = memoryview(data)
            while view:
                view = view[self._file.write(view) :]

    def finish(self, expected_digest: str | None) -> Staged:
        """The whole body. Raises Invalid when its SHA-256 is not ``expected_digest``."""
        digest = _expected(self._hash.hexdigest(), expected_digest)
        with on_disk():
            self._file.close()
        return Staged(self._path, digest, self._size)


def held(data: bytes, expected_digest: str | None) -> Held:
    """A body that has arrived in memory. Raises Invalid when its SHA-256 is not ``expected_digest``."""
    return Held(data, _expected(hashlib.sha256(data).hexdigest(), expected_digest))


@contextmanager
def staged(scratch: Path, chunks: Iterable[bytes], limit_bytes: int, digest: str | None = None) -> Iterator[Staged]:
    """The body made of ``chunks`` as one scratch file, for the duration of the context."""
    with Staging(scratch, limit_bytes) as staging:
        for chunk in chunks:
            staging.write(chunk)
        yield staging.finish(digest)


def sweep(scratch: Path, older_than: float) -> None:
    """Remove what a killed process left behind before the time ``older_than`` (seconds since the epoch)."""
    for path in scratch.glob("*.part"):
        with suppress(OSError):
            if path.stat().st_mtime < older_than:
                path.unlink()


def _expected(digest: str, expected: str | None) -> str:
    if expected is not None and digest != expected:
        raise Invalid(
            "the body's SHA-256 is not the digest that came with it: it was damaged or cut on its way",
            expected=expected,
            found=digest,
        )
    return digest


@contextmanager
def on_disk() -> Iterator[None]:
    """What the system says of a scratch file, as Unavailable."""
    try:
        yield
    except OSError as exc:
        reason = os.strerror(exc.errno) if exc.errno else str(exc)
        raise Unavailable(f"the body cannot be stored: {reason}") from exc
