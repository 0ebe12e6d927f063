"""Push messages as lines of JSON in a file, for whatever delivers them from there."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Self

from foedus.connectors.addresses import only_scheme
from foedus.connectors.folders import private_folder, sync_folder
from foedus.ports.push import PushMessage, PushUnavailable, to_json

ROTATE_BYTES = 64 << 20


class OutboxPush:
    """One line a message in ``path``, synced; many processes may write.

    A file that would grow beyond ``rotate_bytes`` is renamed first: ``push.jsonl`` to ``push.000001.jsonl`` and so on.
    """

    def __init__(self, path: Path, *, rotate_bytes: int = ROTATE_BYTES) -> None:
        self._path = path
        self._rotate_bytes = rotate_bytes

    @classmethod
    def from_url(cls, url: str, *, data: Path) -> Self:
        only_scheme(url, "outbox")
        return cls(data / "outbox" / "push.jsonl")

    def send(self, message: PushMessage) -> None:
        line = to_json(message) + b"\n"
        try:
            with self._locked():
                self._make_room(len(line))
                self._append(line)
        except OSError as exc:
            raise PushUnavailable(path=str(self._path), reason=exc.strerror or str(exc)) from exc

    def close(self) -> None:
        """Nothing to give back."""

    @contextmanager
    def _locked(self) -> Iterator[None]:
        private_folder(self._path.parent)
        with self._path.with_suffix(".lock").open("ab") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def _make_room(self, n_bytes: int) -> None:
        if not self._path.exists() or self._path.stat().st_size + n_bytes <= self._rotate_bytes:
            return
        name = self._path.stem
        taken = [int(n) for p in self._path.parent.glob(f"{name}.*.jsonl") if (n := p.name.split(".")[1]).isdigit()]
        self._path.rename(self._path.with_name(f"{name}.{max(taken, default=0) + 1:06}.jsonl"))

    def _append(self, line: bytes) -> None:
        handle = os.open(self._path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o600)
        try:
            size = os.fstat(handle).st_size
            if size and os.pread(handle, 1, size - 1) != b"\n":
                line = b"\n" + line  # a power cut left half a line; keep it apart
            try:
                while line:  # the disk may take half of it and refuse the rest
                    line = line[os.write(handle, line) :]
                os.fsync(handle)
            except OSError:
                os.ftruncate(handle, size)
                raise
        finally:
            os.close(handle)
        if size == 0:
            sync_folder(self._path.parent)
