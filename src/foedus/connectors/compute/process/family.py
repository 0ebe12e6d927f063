"""The processes of a run: whatever they do, they stay descendants of its keeper, who counts and ends them.

A process whose parent dies becomes the child of the nearest keeper above it, and not of the system's first process. So
a program that forks, starts a session of its own and lets its parent go has not got away.
"""

import ctypes
import os
import signal
import stat
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

MAX_PROCESSES = 512
LOOK_EVERY_S = 0.5
_PR_SET_CHILD_SUBREAPER = 36
_END_S = 10.0
_BLOCK_BYTES = 512
_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


def adopt() -> None:
    """From now on orphans of this process's descendants are its own children."""
    if ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0):
        raise OSError(ctypes.get_errno(), "this system does not let a process keep its descendants")


def more_than(memory_bytes: int) -> str:
    """What is wrong where the descendants use more memory than that, all together, or are too many; else nothing."""
    count = used = 0
    for process in _below(os.getpid()):
        count += 1
        used += _memory_of(process)
    if count > MAX_PROCESSES:
        return f"it had more than {MAX_PROCESSES} processes"
    if used > memory_bytes:
        return f"its processes used more memory together than the {memory_bytes} bytes that were bought"
    return ""


def hiding(folder: Path, bought_bytes: int) -> str:
    """What is wrong where the descendants keep more than that open on the folder's disk, of files without a name."""
    try:
        disk = folder.parent.stat().st_dev  # the folder itself may be removed by a program that is not shut in
    except OSError:
        return "it removed the folder in which it ran"
    kept = dict[int, int]()
    for process in _below(os.getpid()):
        with suppress(OSError):
            for handle in Path(f"/proc/{process}/fd").iterdir():
                with suppress(OSError):
                    seen = handle.stat()
                    if stat.S_ISREG(seen.st_mode) and not seen.st_nlink and seen.st_dev == disk:
                        kept[seen.st_ino] = seen.st_blocks * _BLOCK_BYTES
    if (used := sum(kept.values())) > bought_bytes:
        return f"it kept {used} bytes in files that it had removed, and {bought_bytes} were bought"
    return ""


def end() -> None:
    """Kill all descendants, those as well that are born meanwhile."""
    until = time.monotonic() + _END_S
    while (left := list(_below(os.getpid()))) and time.monotonic() < until:
        for process in left:
            with suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)
        with suppress(ChildProcessError):
            os.waitpid(-1, 0)


def _below(process: int) -> Iterator[int]:
    waiting = [process]  # and no call for each: they may be one below the other
    while waiting:
        with suppress(OSError):
            for task in Path(f"/proc/{waiting.pop()}/task").iterdir():
                for child in _children(task):
                    waiting.append(child)
                    yield child


def _children(task: Path) -> list[int]:
    with suppress(OSError):
        return [int(child) for child in (task / "children").read_text().split()]
    return []


def _memory_of(process: int) -> int:
    """What is its own, with its share of what it shares; all of it where the system does not say."""
    with suppress(OSError, ValueError, IndexError):
        for line in Path(f"/proc/{process}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) << 10
    with suppress(OSError, ValueError, IndexError):
        return int(Path(f"/proc/{process}/statm").read_text().split()[1]) * _PAGE_BYTES
    return 0
