"""What a program left in a folder, read and removed without trusting its names, links and rights."""

import os
import shutil
import stat
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import BinaryIO
from uuid import uuid4

from foedus.connectors.guarded import opened
from foedus.core.errors import Invalid, PlatformError
from foedus.ports.compute import MAX_OUTPUTS, Output

_MAX_ENTRIES = 20 * MAX_OUTPUTS  # while it runs; of what it leaves, far fewer are kept
_MAX_DEPTH = 50  # of folders in each other, all of which are held while the innermost is looked into
_LOOK = stat.S_IRUSR | stat.S_IXUSR


def outputs_below(folder: Path) -> Iterator[Output]:
    """Regular files, by name; at most a thousand of them. Raises Invalid for what cannot be kept."""
    found = []
    for name, seen in _all_below(folder):
        if stat.S_ISREG(seen.st_mode):
            found.append(Output(name, seen.st_size))
        if len(found) > MAX_OUTPUTS:
            raise Invalid(f"a run leaves at most {MAX_OUTPUTS} files", field="outputs")
    return iter(sorted(found, key=lambda output: output.name))


def filling(folder: Path, bought_bytes: int) -> str:
    """What is wrong where a run that goes on has more in its folder than was bought, or what cannot be counted."""
    return _wrong_with(folder, "wrote", bought_bytes)


def more_than(bought_bytes: int, folder: Path) -> str:
    """What is wrong where a run that is over left more than was bought; else nothing."""
    return _wrong_with(folder, "left", bought_bytes)


def remove_all(folder: Path) -> None:
    """The folder of a run that is over, with whatever is in it, if it is there."""
    with suppress(OSError), _held(folder, stat.S_IRWXU) as top:
        if top is not None:
            _flatten(top)
    with suppress(RecursionError):
        shutil.rmtree(folder, ignore_errors=True)


def _wrong_with(folder: Path, did: str, bought_bytes: int) -> str:
    """Where it cannot be measured, that is what is wrong: nobody gets more than was bought by hiding it."""
    used = count = 0
    try:
        for _, seen in _all_below(folder):
            count += 1
            used += seen.st_size if stat.S_ISREG(seen.st_mode) else 0
            if count > _MAX_ENTRIES:
                return f"it had more than {_MAX_ENTRIES} files among its outputs"
    except Invalid as exc:
        return exc.message
    except OSError as exc:
        return f"its outputs could not be measured: {exc.strerror}"
    return f"it {did} {used} bytes, and {bought_bytes} were bought" if used > bought_bytes else ""


def _all_below(folder: Path) -> Iterator[tuple[str, os.stat_result]]:
    """Whatever is in there, by its path from the folder. Raises Invalid where folders are too deep, OSError.

    A program may change all of it meanwhile. So folders are held by handles, which no link can take the place of.
    """
    with _held(folder, _LOOK) as handle:
        if handle is not None:
            yield from _within(handle, "", _MAX_DEPTH)


def _within(folder: int, path: str, depth: int) -> Iterator[tuple[str, os.stat_result]]:
    if not depth:
        raise Invalid(f"its outputs were in folders more than {_MAX_DEPTH} deep", field="outputs")
    with os.scandir(folder) as entries:
        for entry in entries:
            try:
                seen = entry.stat(follow_symlinks=False)
            except FileNotFoundError:  # gone meanwhile
                continue
            yield path + entry.name, seen
            if stat.S_ISDIR(seen.st_mode):
                with _held(entry.name, _LOOK, folder) as inner:
                    if inner is not None:
                        yield from _within(inner, f"{path}{entry.name}/", depth - 1)


@contextmanager
def _held(name: str | Path, rights: int, parent: int | None = None) -> Iterator[int | None]:
    """A handle of a folder, with rights that a program of this process's own user may have taken from it.

    None for what is no folder, or not there. The rights are given to what is held, wherever the name leads by then.
    """
    with ExitStack() as stack:
        try:  # O_PATH: whatever the rights are
            place = os.open(name, os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=parent)
        except (FileNotFoundError, NotADirectoryError):
            yield None
            return
        stack.callback(os.close, place)
        itself = f"/proc/self/fd/{place}"
        mode = stat.S_IMODE(os.fstat(place).st_mode)
        if mode & rights != rights:
            Path(itself).chmod(mode | rights)
        handle = os.open(itself, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        stack.callback(os.close, handle)
        yield handle


def _flatten(top: int) -> None:
    """Remove all folders below, however deep they are: those in a folder are moved to the top before it goes."""
    while folders := _folders_in(top):
        for name in folders:
            with _held(name, stat.S_IRWXU, top) as folder:
                if folder is not None:
                    _move_up(folder, top)
            os.rmdir(name, dir_fd=top)


def _move_up(folder: int, top: int) -> None:
    for name in _folders_in(folder):
        with _held(name, stat.S_IRWXU, folder):  # nobody moves a folder without the right to write in it
            os.rename(name, uuid4().hex, src_dir_fd=folder, dst_dir_fd=top)
    for name in os.listdir(folder):
        os.unlink(name, dir_fd=folder)


def _folders_in(folder: int) -> list[str]:
    with os.scandir(folder) as entries:
        return [entry.name for entry in entries if entry.is_dir(follow_symlinks=False)]


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
