"""What a program left in a folder, read and removed without trusting its names, links and rights."""

import os
import shutil
import stat
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from foedus.connectors.guarded import opened
from foedus.core.errors import Invalid, PlatformError
from foedus.ports.compute import MAX_OUTPUTS, Output

_MAX_ENTRIES = 20 * MAX_OUTPUTS  # while it runs; of what it leaves, far fewer are kept


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


def filling(folder: Path, bought_bytes: int) -> str:
    """What is wrong where a run that goes on has more in its folder than was bought, or far too many files; or nothing.

    A folder that the program closed to us is opened, and counted the next time.
    """
    used = count = 0

    def opened_up(exc: OSError) -> None:
        with suppress(OSError):
            Path(exc.filename).chmod(stat.S_IRWXU)

    for parent, folders, names in os.walk(folder, onerror=opened_up):
        count += len(folders) + len(names)
        for name in names:
            with suppress(OSError):  # the program goes on meanwhile
                seen = Path(parent, name).lstat()
                used += seen.st_size if stat.S_ISREG(seen.st_mode) else 0
        if count > _MAX_ENTRIES:
            return f"it had more than {_MAX_ENTRIES} files among its outputs"
    return f"it wrote {used} bytes, and {bought_bytes} were bought" if used > bought_bytes else ""


def more_than(bought_bytes: int, folder: Path) -> str:
    """What is wrong where a run that is over left more than was bought; else nothing."""
    let_in(folder)
    left = sum(p.lstat().st_size for p in folder.rglob("*") if p.is_file() and not p.is_symlink())
    return f"it left {left} bytes, and {bought_bytes} were bought" if left > bought_bytes else ""


def let_in(folder: Path) -> None:
    """Give this process back the rights to look into all folders below, which programs of its own user may take."""
    for parent, folders, _ in os.walk(folder):
        for path in (Path(parent, name) for name in folders):
            if not path.is_symlink():
                with suppress(OSError):
                    path.chmod(stat.S_IRWXU)


def remove_all(folder: Path) -> None:
    """The folder of a run that is over, with whatever is in it, if it is there."""
    let_in(folder)
    shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def open_output(folder: Path, name: str) -> Iterator[BinaryIO]:
    """Raises Invalid for what is no regular file in there; links are not followed, wherever they lead."""
    with ExitStack() as stack:
        try:
            handle = stack.enter_context(opened(folder, name))
        except PlatformError as exc:
            raise Invalid("this is not among the outputs", field="name") from exc
        with os.fdopen(os.dup(handle), "rb") as file:
            yield file
