"""One process tree: the parts of the service as children that are started again when they die.

Children are forked from a parent that has imported everything and started nothing: they begin in milliseconds and
share its memory. A pipe from the parent tells them when it is gone, however it went.
"""

import gc
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Mapping

import structlog

log = structlog.get_logger()

_GRACE_S = 10.0
_QUICK_DEATH_S = 0.5  # a process that starts serving takes half of it
_MAX_DELAY_S = 1.0
_HANDLED = {signal.SIGTERM, signal.SIGINT, signal.SIGCHLD, signal.SIGALRM}


class Supervisor:
    """Runs each role in a process of its own until told to stop by SIGTERM or SIGINT."""

    def __init__(self, roles: Mapping[str, Callable[[], None]]) -> None:
        self._roles = roles
        self._pids: dict[int, str] = {}
        self._started: dict[str, float] = {}
        self._delays: dict[str, float] = dict.fromkeys(roles, 0.0)
        self._due: dict[str, float] = {}
        self._alive_r, self._alive_w = os.pipe()

    def run(self) -> int:
        """Start the roles and keep them running; the exit status once all have ended."""
        signal.pthread_sigmask(signal.SIG_BLOCK, _HANDLED)
        # SIGCHLD and SIGALRM are ignored or deadly by default; a handler lets sigwait see them everywhere.
        for seen in (signal.SIGCHLD, signal.SIGALRM):
            signal.signal(seen, lambda *_: None)
        gc.freeze()
        for role in self._roles:
            self._spawn(role)
        while True:
            number = signal.sigwait(_HANDLED)
            if number in (signal.SIGTERM, signal.SIGINT):
                return self._stop()
            self._reap()
            self._respawn()

    def _spawn(self, role: str) -> None:
        pid = os.fork()
        if pid == 0:
            self._become(role)
        self._pids[pid] = role
        self._started[role] = time.monotonic()
        log.info("process.started", role=role, pid=pid)

    def _become(self, role: str) -> None:
        status = 1
        try:
            os.close(self._alive_w)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            signal.pthread_sigmask(signal.SIG_UNBLOCK, _HANDLED)
            threading.Thread(target=_end_with_parent, args=(self._alive_r,), daemon=True).start()
            self._roles[role]()
            status = 0
        except BaseException:  # the child must never return into its parent's code
            log.exception("process.failed", role=role)
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(status)

    def _reap(self) -> None:
        while self._pids:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if pid == 0:
                return
            role = self._pids.pop(pid, None)
            if role is None:
                continue
            lived_s = time.monotonic() - self._started[role]
            log.warning("process.ended", role=role, pid=pid, status=os.waitstatus_to_exitcode(status))
            quick = lived_s < _QUICK_DEATH_S
            self._delays[role] = min(_MAX_DELAY_S, max(0.25, self._delays[role] * 2)) if quick else 0.0
            self._due[role] = time.monotonic() + self._delays[role]

    def _respawn(self) -> None:
        """Start what is due; set an alarm for what is not yet."""
        now = time.monotonic()
        for role in [role for role, at in self._due.items() if at <= now]:
            del self._due[role]
            self._spawn(role)
        if self._due:
            signal.setitimer(signal.ITIMER_REAL, max(0.01, min(self._due.values()) - now))

    def _stop(self) -> int:
        for pid in self._pids:
            os.kill(pid, signal.SIGTERM)
        ends_at = time.monotonic() + _GRACE_S
        while self._pids and time.monotonic() < ends_at:
            pid, _ = os.waitpid(-1, os.WNOHANG)
            if pid:
                self._pids.pop(pid, None)
            else:
                signal.sigtimedwait({signal.SIGCHLD}, max(0.0, ends_at - time.monotonic()))
        for pid in self._pids:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
        return 0


def _end_with_parent(alive: int) -> None:
    """Blocks until the parent's end of the pipe is closed, which the system does for the dead."""
    os.read(alive, 1)
    os.kill(os.getpid(), signal.SIGTERM)
