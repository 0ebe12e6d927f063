"""How much slower a machine is than one that has nothing else to do, as the kernel tells it of our own processes."""

from pathlib import Path

import psutil


def waited():
    """By thread of this process and of those that it started: nanoseconds on a processor, and in line for one.

    Empty where the kernel does not say (it takes Linux).
    """
    here = psutil.Process()
    found = {}
    for process in [here, *here.children(recursive=True)]:
        for thread in Path(f"/proc/{process.pid}/task").glob("*/schedstat"):
            try:
                ran, waiting, _ = map(int, thread.read_text().split())
            except (OSError, ValueError):  # it has just ended
                continue
            found[thread] = ran, waiting
    return found


def slowness(before, after):
    """So many times as long as with a processor at hand did work take between two of these: at least 1.0."""
    ran = waiting = 0
    for thread, (ran_ns, waiting_ns) in after.items():
        earlier_ns = before.get(thread, (0, 0))
        ran += ran_ns - earlier_ns[0]
        waiting += waiting_ns - earlier_ns[1]
    return 1.0 + waiting / ran if ran > 0 else 1.0
