"""Checkpoints at hand: each is downloaded once, the small ones into memory, the large ones into mapped files."""

import base64
import hashlib
import io
import logging
import mmap
from collections.abc import Callable
from pathlib import Path
from typing import Literal

from foedus.core.arrays import Arrays
from foedus.core.codecs import safetensors
from foedus.core.codecs.finite import check_finite
from foedus.core.codecs.limits import Limits
from foedus.core.errors import Invalid, TooLarge
from foedus.sdk.answers import Checkpoint
from foedus.sdk.downloads import Download
from foedus.sdk.link import Link, path
from foedus.sdk.patience import Patience

IN_MEMORY_BYTES = 16 << 20
KEPT_FILES = 2
DEFAULT_MAX_MODEL_BYTES = 8 << 30

log = logging.getLogger("foedus.sdk")


class Models:
    """The checkpoints of one project, the latest one kept in memory (mapped, if large), two in the folder.

    ``part`` is what is fetched of a checkpoint: its model, or the state that its strategy sends along.
    """

    def __init__(
        self,
        link: Link,
        patience: Patience,
        folder: Path,
        max_bytes: int = DEFAULT_MAX_MODEL_BYTES,
        *,
        part: Literal["model", "state"] = "model",
    ) -> None:
        self._link = link
        self._patience = patience
        self._folder = folder
        self._max_bytes = max_bytes
        self._part = part
        self._latest: tuple[str, Arrays] | None = None

    def fetch(self, project: str, checkpoint: Checkpoint) -> Arrays:
        """The arrays of ``checkpoint``, read-only. Raises Invalid when they are not a model of finite numbers."""
        if self._latest is not None and self._latest[0] == checkpoint.digest:
            return self._latest[1]
        checked(checkpoint, self._max_bytes)
        where = path("projects", project, "checkpoints", checkpoint.number, self._part)
        if (data := brought_along(checkpoint)) is not None:
            arrays = loaded(data)
        elif checkpoint.size_bytes <= IN_MEMORY_BYTES:
            sink = io.BytesIO()
            self._download(where, checkpoint, sink)
            arrays = loaded(sink.getvalue())
        else:
            arrays = mapped(self._file(where, checkpoint))
        check_finite(arrays)
        self._latest = (checkpoint.digest, arrays)
        return arrays

    def _file(self, where: str, checkpoint: Checkpoint) -> Path:
        """The file of a large checkpoint, downloaded or left by a process before us."""
        file = self._folder / f"{checkpoint.digest}.safetensors"
        if file.exists() and file_digest(file) == checkpoint.digest:
            return file
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._forget(keep=checkpoint.digest)
        to_file(file, lambda sink: self._download(where, checkpoint, sink))
        return file

    def _forget(self, keep: str) -> None:
        """Make room for one more: older files go, and beginnings of other downloads."""
        old = sorted(self._folder.glob("*.safetensors"), key=lambda f: f.stat().st_mtime, reverse=True)
        beginnings = [part for part in self._folder.glob("*.part") if not part.name.startswith(keep)]
        for file in (*old[KEPT_FILES - 1 :], *beginnings):
            file.unlink()

    def _download(self, where: str, checkpoint: Checkpoint, sink: "io.BytesIO | io.BufferedRandom") -> None:
        download = Download(self._link, where, checkpoint, sink, self._patience.check)
        self._patience.call(f"download checkpoint {checkpoint.number}", download.attempt)


def checked(checkpoint: Checkpoint, max_bytes: int) -> None:
    """Raise unless a checkpoint, as announced, can be taken in: its digest becomes the name of a file."""
    if len(checkpoint.digest) != 64 or not set(checkpoint.digest) <= set("0123456789abcdef"):
        raise Invalid("a checkpoint's digest is a SHA-256 in lower-case hexadecimal", found=checkpoint.digest[:80])
    if checkpoint.size_bytes > max_bytes:
        raise TooLarge(
            "the model is larger than this participant takes: raise max_model_bytes if that is wrong",
            size_bytes=checkpoint.size_bytes,
            max_bytes=max_bytes,
        )


def brought_along(checkpoint: Checkpoint) -> bytes | None:
    """The bytes that came with the task; None where there are none, or others than announced: then they are fetched."""
    if not checkpoint.data:
        return None
    try:
        data = base64.b64decode(checkpoint.data, validate=True)
    except ValueError:
        data = b""
    if hashlib.sha256(data).hexdigest() == checkpoint.digest:
        return data
    log.warning("checkpoint %d came with its task in other bytes than announced, and is fetched", checkpoint.number)
    return None


def to_file(file: Path, download: "Callable[[io.BufferedRandom], None]") -> None:
    """Let ``download`` fill a file beside ``file``. It takes its place when complete; until then it can be resumed."""
    part = file.with_name(f"{file.name}.part")
    part.touch(mode=0o600)
    with part.open("r+b") as sink:
        download(sink)
    part.replace(file)


def loaded(data: "bytes | mmap.mmap") -> Arrays:
    return safetensors.decode(data, limits=Limits(max_bytes=len(data), max_tensors=100_000))


def mapped(file: Path) -> Arrays:
    """The arrays of a file without reading it: their pages come in as they are used."""
    with file.open("rb") as opened:
        return loaded(mmap.mmap(opened.fileno(), 0, access=mmap.ACCESS_READ))


def file_digest(file: Path) -> str:
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()
