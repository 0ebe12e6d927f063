"""The first process of a run: ``python inside.py SETTINGS``, shut in already; the standard library alone.

Sets limits, opens a port on loopback that leads through the door (a Unix socket) to the session, runs the program's
text in a shell and ends as the program ends.
"""

import json
import os
import resource
import socket
import subprocess
import sys
import threading
from typing import Any

_OPEN_FILES = 1024
_PROCESSES = 4096
_CHUNK_BYTES = 1 << 16


def main(settings: dict[str, Any]) -> int:
    _limit(settings["memory_bytes"], settings["disk_bytes"], settings["cpus"])
    environment = dict(os.environ)
    if settings["door"]:
        url = f"http://127.0.0.1:{_lead_through(settings['door'])}"
        environment.update(dict.fromkeys(settings["variables"], url))
    script = settings["script"].replace("{coordinator_url}", environment.get("COORDINATOR_URL", ""))
    if user := settings["user"]:
        os.setgroups([])
        os.setgid(user)
        os.setuid(user)
    program = subprocess.Popen(["/bin/sh", "-c", script], env=environment, stdin=subprocess.DEVNULL)
    code = program.wait()
    return code if code >= 0 else 128 - code  # as shells say it


def _limit(memory_bytes: int, disk_bytes: int, cpus: float) -> None:
    for kind, bought in (
        (resource.RLIMIT_AS, memory_bytes),
        (resource.RLIMIT_FSIZE, disk_bytes),
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_NOFILE, _OPEN_FILES),
        (resource.RLIMIT_NPROC, _PROCESSES),  # of this user; the keeper counts those of the run
    ):
        hard = resource.getrlimit(kind)[1]
        most = bought if hard == resource.RLIM_INFINITY else min(bought, hard)
        resource.setrlimit(kind, (most, most))
    mine = sorted(os.sched_getaffinity(0))
    os.sched_setaffinity(0, mine[: max(1, round(cpus + 0.499))])


def _lead_through(door: str) -> int:
    """A port on loopback, each connection to which is carried to the Unix socket ``door``."""
    listening = socket.create_server(("127.0.0.1", 0))
    threading.Thread(target=_accept, args=(listening, door), daemon=True).start()
    return int(listening.getsockname()[1])


def _accept(listening: socket.socket, door: str) -> None:
    while True:
        near, _ = listening.accept()
        far = socket.socket(socket.AF_UNIX)
        try:
            far.connect(door)
        except OSError:
            near.close()
            far.close()
            continue
        for pair in ((near, far), (far, near)):
            threading.Thread(target=_carry, args=pair, daemon=True).start()


def _carry(source: socket.socket, sink: socket.socket) -> None:
    try:
        while part := source.recv(_CHUNK_BYTES):
            sink.sendall(part)
        sink.shutdown(socket.SHUT_WR)
    except OSError:  # either end went away: so does the other
        for end in (source, sink):
            end.close()


if __name__ == "__main__":
    sys.exit(main(json.loads(sys.argv[1])))
