"""Models that are being made: small ones in memory, large ones in files that are mapped, whatever memory there is.

The system writes a mapped file's pages back when it needs their memory. A model that was built whole in one file is
that file: it becomes a blob as it is.
"""

import hashlib
import mmap
import os
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Self
from uuid import uuid4

import numpy as np

from foedus.core.arrays import Arrays, Layout, Tensor
from foedus.core.building import in_memory
from foedus.core.codecs import safetensors
from foedus.core.codecs.sources import packed
from foedus.services.shell.staging import Staged, on_disk, staged

MAPPED_FROM_BYTES = 16 << 20  # below, a file costs more than the memory it saves


class Drafts:
    """A maker of tensors. Use as a context: on leaving it, what was not moved away is removed.

    A file goes as soon as nobody holds its tensors any more: the steps of a strategy do not add up on the disk.
    """

    def __init__(self, scratch: Path) -> None:
        self._scratch = scratch
        self._tensors: dict[Path, dict[str, weakref.ref[Tensor]]] = {}
        self._removals: list[weakref.finalize[..., mmap.mmap]] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        for remove in self._removals:
            remove()

    def make(self, layout: Layout) -> dict[str, Tensor]:
        """Tensors to be written into. Raises Unavailable when the disk has no room for them."""
        if layout.nbytes < MAPPED_FROM_BYTES:
            return in_memory(layout)
        path = self._scratch / f"{uuid4().hex}.part"
        header = safetensors.header_of(layout, {})
        with on_disk():
            mapped = _new_file(path, header, len(header) + layout.nbytes)
        self._removals.append(weakref.finalize(mapped, path.unlink, missing_ok=True))
        places = packed(layout, len(header))
        tensors = {
            t.name: np.ndarray(t.shape, np.dtype(t.dtype).newbyteorder("<"), mapped, places[t.name]) for t in layout
        }
        self._tensors[path] = {name: weakref.ref(tensor) for name, tensor in tensors.items()}
        return tensors

    @contextmanager
    def written(self, model: Arrays) -> Iterator[Staged]:
        """The model as one scratch file: the one it was built in, or a copy where its tensors come from several."""
        path = self._file_of(model)
        if path is not None:
            yield _staged(path)
            return
        with staged(self._scratch, safetensors.chunks(model), safetensors.size_bytes(model.layout)) as body:
            yield body

    def _file_of(self, model: Arrays) -> Path | None:
        for path, tensors in self._tensors.items():
            if list(tensors) == list(model) and all(tensors[name]() is model[name] for name in model):
                return path
        return None


def _staged(path: Path) -> Staged:
    with on_disk(), path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
        return Staged(path, digest, os.fstat(file.fileno()).st_size)


def _new_file(path: Path, header: bytes, size_bytes: int) -> mmap.mmap:
    """A file that has its room on the disk already: a mapping that finds none while it is written kills its process."""
    with path.open("x+b") as file:
        try:
            file.write(header)
            file.flush()
            os.posix_fallocate(file.fileno(), 0, size_bytes)
            return mmap.mmap(file.fileno(), size_bytes)
        except BaseException:
            path.unlink(missing_ok=True)
            raise
