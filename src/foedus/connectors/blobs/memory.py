"""Blobs in this process, for tests and demonstrations: gone when it ends."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Self

from foedus.connectors.addresses import only_scheme
from foedus.ports.blobs import READ_CHUNK_BYTES, BlobInfo, BlobMissing, check_key


class MemoryBlobs:
    """Blobs in a dictionary, whose operations are atomic. No other process sees them."""

    def __init__(self) -> None:
        self._blobs: dict[str, bytes] = {}
        self._changed_at: dict[str, datetime] = {}

    @classmethod
    def from_url(cls, url: str, *, data: Path) -> Self:  # noqa: ARG003  (every connector is called the same way)
        only_scheme(url, "memory")
        return cls()

    def put(self, key: str, data: bytes) -> None:
        self._changed_at[check_key(key)] = datetime.now(UTC)
        self._blobs[key] = bytes(data)

    def put_file(self, key: str, path: Path) -> None:
        self.put(key, path.read_bytes())
        path.unlink()

    def read(
        self, key: str, start: int = 0, stop: int | None = None, *, chunk_bytes: int = READ_CHUNK_BYTES
    ) -> Iterator[bytes]:
        data = self._get(key)
        end = len(data) if stop is None else min(stop, len(data))
        return (data[i : min(i + chunk_bytes, end)] for i in range(max(start, 0), end, chunk_bytes))

    @contextmanager
    def local(self, key: str) -> Iterator[Path]:
        data = self._get(key)
        with tempfile.TemporaryDirectory(prefix="foedus-blob-") as folder:
            path = Path(folder) / "blob"
            path.write_bytes(data)
            path.chmod(0o400)
            yield path

    def stat(self, key: str) -> BlobInfo:
        return BlobInfo(key, len(self._get(key)), self._changed_at.get(key))

    def list(self, prefix: str = "") -> Iterator[BlobInfo]:
        found = [
            BlobInfo(key, len(data), self._changed_at.get(key))
            for key, data in self._blobs.copy().items()
            if key.startswith(prefix)
        ]
        return iter(sorted(found, key=lambda info: info.key))

    def delete(self, *keys: str) -> None:
        for key in [check_key(key) for key in keys]:
            self._blobs.pop(key, None)

    def close(self) -> None:
        """Nothing to give back."""

    def _get(self, key: str) -> bytes:
        try:
            return self._blobs[check_key(key)]
        except KeyError as exc:
            raise BlobMissing(key=key) from exc
