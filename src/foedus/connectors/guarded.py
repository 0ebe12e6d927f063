"""Opening files below a folder by paths from strangers: step by step, and never through a link."""

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath

from foedus.core.errors import Forbidden, Invalid
from foedus.ports.sources import SourceMissing, SourceUnavailable

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


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except (FileNotFoundError, NotADirectoryError):
        raise SourceMissing("there is no such file below the folder of local sources") from None
    except PermissionError:
        raise Forbidden("the server may not read this file") from None
    except OSError as exc:
        if exc.errno == errno.ELOOP:
            raise Forbidden("links are not followed") from None
        raise SourceUnavailable(f"the file cannot be read: {os.strerror(exc.errno or 0)}") from exc
