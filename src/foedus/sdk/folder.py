"""What a participant must not forget, in a folder of its own: who it is, and the update it has not handed in yet.

participant.json     who we are: secret, token, project, server (mode 0600)
pending.safetensors  an update that was made and not yet accepted; pending.json says for which round
receipts.jsonl       what left and was accepted, a line each: updates with their digest and metrics, scores
models/, states/     downloaded checkpoints, and what strategies send along, too large to keep in memory
memory/              what accepted updates left behind for the next rounds
lock                 held while a process works here
"""

import hashlib
import json
import os
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import IO, Any, Self

from foedus.core.codecs import strict_json
from foedus.core.errors import Conflict, Invalid
from foedus.sdk.reading import Answer

try:
    import fcntl
except ImportError:  # Windows: two processes in one folder are not noticed there
    fcntl = None  # type: ignore[assignment]  # the name stands for "no locks here"

BLOCK_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class Membership(Answer):
    """Who a participant is. ``key_digest`` tells whether an enrolment key is the one it enrolled with."""

    url: str
    project: str = ""
    token: str = field(default="", repr=False)
    secret: str = field(default="", repr=False)
    key_digest: str = ""
    participant: str = ""


@dataclass(frozen=True, slots=True)
class Pending(Answer):
    """An update on its way, for the round and the base (a digest) it was trained from. ``data`` if it is in memory."""

    round: int
    base: str
    examples: float
    metrics: Mapping[str, Any]
    digest: str = ""
    size_bytes: int = 0
    data: bytes | None = field(default=None, repr=False)


class Folder:
    """The folder at ``path``; without one, a temporary folder that is gone at the end. To be used in a ``with``."""

    def __init__(self, path: Path | None) -> None:
        self._temporary = tempfile.TemporaryDirectory(prefix="foedus-") if path is None else None
        self.path = Path(self._temporary.name) if self._temporary else Path(path or "")
        self._lock: IO[bytes] | None = None
        self._pending: Pending | None = None

    @property
    def lasting(self) -> bool:
        return self._temporary is None

    @property
    def update_file(self) -> Path:
        return self.path / "pending.safetensors"

    def __enter__(self) -> Self:
        try:
            self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._lock = (self.path / "lock").open("wb")
        except OSError as exc:
            raise Invalid(
                f"nothing can be kept in {self.path} ({exc.strerror}): state= needs a folder to write to"
            ) from exc
        if fcntl is not None:
            try:
                fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as exc:
                self._lock.close()
                raise Conflict(f"another participant works in {self.path}: give each a folder of its own") from exc
        self._pending = self._stored_pending()
        return self

    def __exit__(self, *_: object) -> None:
        if self._lock is not None:
            self._lock.close()
        if self._temporary is not None:
            self._temporary.cleanup()

    def membership(self) -> Membership | None:
        """Who we are, or None in a new folder."""
        path = self.path / "participant.json"
        try:
            return Membership.of(strict_json.parse(path.read_bytes(), max_depth=4))
        except FileNotFoundError:
            return None
        except Invalid as exc:
            raise Invalid(f"{path} is damaged ({exc.message}); without it, a new enrolment key is needed") from exc

    def remember(self, membership: Membership) -> None:
        """Durable, and never half written: the token in it cannot be had a second time."""
        self._replace("participant.json", [_json(asdict(membership))], durable=True)

    def pending(self, round_number: int, base: str) -> Pending | None:
        """The update that was made for this very task, if there is one."""
        found = self._pending
        return found if found and (found.round, found.base) == (round_number, base) else None

    @property
    def unsettled(self) -> Pending | None:
        """The update that was made and of which nobody has said what became of it, for whatever task."""
        return self._pending

    def keep_pending(self, pending: Pending, pieces: Iterable[bytes] | None = None) -> Pending:
        """Keep an update, its ``data`` or ``pieces``, until it is handed in. Gives it with its digest and size."""
        if pending.data is None or self.lasting:
            content = pieces if pending.data is None else [pending.data]
            digest, size_bytes = self._replace("pending.safetensors", content or ())
        else:
            digest, size_bytes = hashlib.sha256(pending.data).hexdigest(), len(pending.data)
        pending = replace(pending, digest=digest, size_bytes=size_bytes)
        if self.lasting:
            # Last: should we end before this line, the old description does not fit the new bytes and is not believed.
            self._replace("pending.json", [_json(asdict(replace(pending, data=None)))])
        self._pending = pending
        return pending

    def drop_pending(self) -> None:
        self._pending = None
        for name in ("pending.json", "pending.safetensors"):
            (self.path / name).unlink(missing_ok=True)

    def note_receipt(self, receipt: Mapping[str, Any]) -> None:
        if self.lasting:
            with (self.path / "receipts.jsonl").open("ab") as file:
                file.write(json.dumps(receipt, default=str).encode() + b"\n")

    def _stored_pending(self) -> Pending | None:
        try:
            pending = Pending.of(strict_json.parse((self.path / "pending.json").read_bytes(), max_depth=4))
            with self.update_file.open("rb") as file:
                digest = hashlib.file_digest(file, "sha256").hexdigest()
        except FileNotFoundError:
            return None
        except Invalid:  # cut short when the machine went down; the training is repeated
            return None
        return pending if pending.digest == digest else None

    def _replace(self, name: str, pieces: Iterable[bytes], *, durable: bool = False) -> tuple[str, int]:
        """Write a file for our eyes only and put it in its place at once. Its SHA-256 and size."""
        part = self.path / f"{name}.part"
        digest, size_bytes = hashlib.sha256(), 0
        descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            for piece in pieces:
                file.write(piece)
                digest.update(piece)
                size_bytes += len(piece)
            if durable:
                file.flush()
                os.fsync(file.fileno())
        part.replace(self.path / name)
        if durable and os.name == "posix":
            _sync_folder(self.path)
        return digest.hexdigest(), size_bytes


def _json(value: Mapping[str, Any]) -> bytes:
    return json.dumps(value).encode()


def _sync_folder(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
