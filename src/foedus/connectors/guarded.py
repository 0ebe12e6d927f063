"""Opening files below a folder by paths from strangers: step by step, and never through a link."""

import errno
import hashlib
import os
import stat
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from uuid import uuid4

from foedus.core.errors import Forbidden, Invalid
from foedus.ports.sources import SourceMissing, SourceRefuses, SourceUnavailable

_MAX_PATH = 4096


def parts_of(folder: Path, path: str) -> tuple[str, ...]:
    """The steps from the folder to ``path``, which may also be absolute. Raises Invalid, Forbidden."""
    if len(path) > _MAX_PATH or "\0" in path:
        raise Invalid("this is no path")
    pure = PurePosixPath(path.removeprefix("file://"))
    if pure.is_absolute():
        try:
            pure = pure.relative_to(folder)
        except ValueError:
            raise Forbidden("the path leads out of the folder of local sources") from None
    if ".." in pure.parts:
        raise Forbidden("the path leads out of the folder of local sources")
    return pure.parts


@contextmanager
def opened(folder: Path, path: str, *, folder_wanted: bool = False) -> Iterator[int]:
    """A handle of the file, or of the folder that is wanted. Raises SourceMissing, Forbidden, SourceUnavailable."""
    steps = parts_of(folder, path)
    if not steps and not folder_wanted:
        raise Invalid("path names no file")
    with _translated():
        handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        for place, step in enumerate(steps):
            last = place == len(steps) - 1 and not folder_wanted
            # O_NONBLOCK: opening a pipe would wait for somebody to write into it.
            flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | (os.O_NONBLOCK if last else os.O_DIRECTORY)
            with _translated():
                inner = os.open(step, flags, dir_fd=handle)
            os.close(handle)
            handle = inner
        if not folder_wanted and not stat.S_ISREG(os.fstat(handle).st_mode):
            raise Forbidden("path names no ordinary file")
        yield handle
    finally:
        os.close(handle)


def create(folder: int, name: str, chunks: Iterable[bytes], *, again: bool = False) -> None:
    """A new file in the folder of a handle, there once it is whole. Raises SourceRefuses when there is one already,
    unless it is tried ``again`` and the file is equal; Forbidden, SourceUnavailable, and what ``chunks`` raise.
    """
    part = f".{uuid4().hex}.part"
    with _translated():
        handle = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o640, dir_fd=folder)
    try:
        with os.fdopen(handle, "wb") as file:
            for chunk in chunks:
                with _translated():
                    file.write(chunk)
            with _translated():
                file.flush()
                os.fsync(file.fileno())
        with _translated():
            try:
                os.link(part, name, src_dir_fd=folder, dst_dir_fd=folder, follow_symlinks=False)
            except FileExistsError:
                if not again or _digest(folder, name) != _digest(folder, part):
                    raise
            os.fsync(folder)
    finally:
        os.unlink(part, dir_fd=folder)


def _digest(folder: int, name: str) -> bytes | None:
    """Of an ordinary file; None for anything else."""
    handle = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=folder)
    with os.fdopen(handle, "rb") as file:
        if not stat.S_ISREG(os.fstat(handle).st_mode):
            return None
        return hashlib.file_digest(file, "sha256").digest()


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except (FileNotFoundError, NotADirectoryError):
        raise SourceMissing("there is no such file below the folder of local sources") from None
    except FileExistsError:
        raise SourceRefuses("there is something of that name already; name another file") from None
    except PermissionError:
        raise Forbidden("the server may not read or write this file") from None
    except OSError as exc:
        if exc.errno == errno.ELOOP:
            raise Forbidden("links are not followed") from None
        raise SourceUnavailable(f"the file cannot be read or written: {os.strerror(exc.errno or 0)}") from exc
