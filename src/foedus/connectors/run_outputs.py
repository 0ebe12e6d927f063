"""What a program left in a folder, read without trusting its names and links."""

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from foedus.core.errors import Invalid
from foedus.ports.compute import MAX_OUTPUTS, Output


def outputs_below(folder: Path) -> Iterator[Output]:
    """Regular files, by name; at most a thousand of them."""
    found = []
    for parent, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if not Path(parent, name).is_symlink()]
        for name in names:
            path = Path(parent, name)
            seen = path.lstat()
            if stat.S_ISREG(seen.st_mode):
                found.append(Output(path.relative_to(folder).as_posix(), seen.st_size))
        if len(found) > MAX_OUTPUTS:
            raise Invalid(f"a run leaves at most {MAX_OUTPUTS} files", field="outputs")
    return iter(sorted(found, key=lambda output: output.name))


@contextmanager
def open_output(folder: Path, name: str) -> Iterator[BinaryIO]:
    """Each step of the path is opened without following links: the program may have left any."""
    parts = PurePosixPath(name).parts
    if not parts or name.startswith("/") or ".." in parts:
        raise Invalid("this is not among the outputs", field="name")
    here = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        for part in parts[:-1]:
            there = os.open(part, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=here)
            os.close(here)
            here = there
        opened = os.open(parts[-1], os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=here)
    except OSError as exc:
        raise Invalid("this is not among the outputs", field="name") from exc
    finally:
        os.close(here)
    with os.fdopen(opened, "rb") as file:
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            raise Invalid("this is not among the outputs", field="name")
        yield file
