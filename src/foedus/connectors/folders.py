"""Folders that survive power cuts and belong to nobody else."""

import errno
import os
import stat
from pathlib import Path

OTHERS = 0o077


def sync_folder(path: Path) -> None:
    """Make the names in a folder durable: syncing a file alone does not."""
    handle = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def private_folder(path: Path) -> None:
    """Make a folder that only this user can enter. Raises OSError; PermissionError when it belongs to someone else.

    A link in its place is refused too: in a shared folder such as /tmp it may be somebody's trap.
    """
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    info = path.lstat()
    if not stat.S_ISDIR(info.st_mode) or info.st_uid != os.geteuid():
        raise PermissionError(errno.EACCES, "Not a folder of this user", str(path))
    if info.st_mode & OTHERS:
        path.chmod(0o700)
