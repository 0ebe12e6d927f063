"""The service as its users run it: real processes in a data folder of their own, which tests may kill."""

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import httpx
import psutil

# Dies with the test run even when that is killed; the kernel takes care, where setpriv can ask it to.
GUARD = ("setpriv", "--pdeathsig", "KILL") if shutil.which("setpriv") else ()
START_S = 150.0  # on a machine that has other things to do


class DiedError(RuntimeError):
    """A process of the service ended though nobody asked it to; its last words follow."""


class Program:
    """One running ``foedus`` command, and what it has said so far."""

    def __init__(self, *arguments, data, ready, environment, prefix=()):
        self.lines = []
        self._news = threading.Condition()
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("FOEDUS_")}
        self.process = subprocess.Popen(
            [*GUARD, *prefix, sys.executable, "-m", "foedus", *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env={**inherited, "FOEDUS_DATA": str(data), "OPENBLAS_NUM_THREADS": "1", **environment},
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        self._ready = ready

    def wait_ready(self):
        self.wait_for(lambda line: self._ready in line, timeout_s=START_S)

    def wait_for(self, wanted, *, after=0, timeout_s=10.0):
        """The first line from index ``after`` on for which ``wanted`` holds, as soon as it is said."""
        with self._news:
            found = self._news.wait_for(lambda: self._find(wanted, after), timeout_s)
            if not isinstance(found, str):
                raise DiedError("\n".join(self.lines[-40:]))
            return found

    @property
    def pid(self):
        return self.process.pid

    def kill(self):
        self.process.kill()
        self._gone()

    def stop(self):
        """Ask it to end; the seconds that this took."""
        began = time.monotonic()
        self.process.terminate()
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.kill()
        self._gone()
        return time.monotonic() - began

    def _gone(self):
        self.process.wait()
        self._reader.join(10)

    def _find(self, wanted, after):
        for line in self.lines[after:]:
            if wanted(line):
                return line
        return self.process.poll() is not None

    def _read(self):
        with contextlib.closing(self.process.stdout) as lines:
            for line in lines:
                with self._news:
                    self.lines.append(line.rstrip())
                    self._news.notify_all()
        with self._news:
            self._news.notify_all()


class Service:
    """What every way of running it has in common: an address, a data folder, and roles that can be killed."""

    prefix = ()  # of every process's command line

    def __init__(self, data, **environment):
        self.data = Path(data)
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.environment = {
            "FOEDUS_CLOCK_SECONDS": "0.2",
            "FOEDUS_REQUESTS_PER_SECOND": "0",
            "FOEDUS_LOG_FORMAT": "json",
            **environment,
        }

    @property
    def token(self):
        return (self.data / "operator-token").read_text().strip()

    @property
    def scratch(self):
        return sorted(path.name for path in (self.data / "scratch").iterdir())

    def blobs(self, prefix=""):
        """Names of the stored blobs whose key begins with ``prefix``; without a question to the service."""
        start = prefix.replace("/", "%2f")
        return sorted(path.name for path in (self.data / "blobs").glob(f"*/{start}*.blob"))

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.stop()

    def _run(self, *arguments, ready):
        return Program(*arguments, data=self.data, ready=ready, environment=self.environment, prefix=self.prefix)


class Serve(Service):
    """``foedus serve``: one supervised tree."""

    def start(self):
        self.program = self._run("serve", "--port", str(self.port), ready="foedus serves at")
        self.program.wait_ready()
        wait_healthy(self.url)

    def stop(self):
        return self.program.stop()

    def pid(self, role):
        return self._latest(role)[1]

    def kill(self, role):
        """Kill -9 one role and see the supervisor start it again."""
        number, pid = self._latest(role)
        os.kill(pid, signal.SIGKILL)
        self.program.wait_for(lambda line: _started(line) == role, after=number + 1)

    def kill_all(self):
        """Kill -9 every process at once, the supervisor first."""
        tree = psutil.Process(self.program.pid)
        everybody = [tree, *tree.children(recursive=True)]
        for process in everybody:
            process.suspend()  # nobody sees another one die
        for process in everybody:
            process.kill()
        self.program.kill()
        psutil.wait_procs(everybody, timeout=10)

    def restart(self, *, alone=False):
        """Kill everything, or the supervisor ``alone``, and start anew; the seconds of the start."""
        self.program.kill() if alone else self.kill_all()
        began = time.monotonic()
        self.start()
        return time.monotonic() - began

    def pss_bytes(self):
        """Memory of the whole tree; pages that several share count once."""
        tree = psutil.Process(self.program.pid)
        return sum(process.memory_full_info().pss for process in [tree, *tree.children(recursive=True)])

    @contextlib.contextmanager
    def paused(self, role):
        """The role's present process, stopped for the time of the block; killing it in there is allowed."""
        pid = self.pid(role)
        os.kill(pid, signal.SIGSTOP)
        try:
            yield
        finally:
            if pid == self.pid(role):
                os.kill(pid, signal.SIGCONT)

    def _latest(self, role):
        """The line that announced the role's present process, and its process id."""
        for number in range(len(self.program.lines) - 1, -1, -1):
            if _started(self.program.lines[number]) == role:
                return number, json.loads(self.program.lines[number])["pid"]
        raise LookupError(f"no process was started as {role}")


class Apart(Service):
    """``web``, ``worker`` and ``clock`` as processes of their own, ``webs`` and ``workers`` of them."""

    def __init__(self, data, *, webs=1, workers=1, **environment):
        super().__init__(data, **environment)
        self.ports = [self.port, *(free_port() for _ in range(webs - 1))]
        self.urls = [f"http://127.0.0.1:{port}" for port in self.ports]
        self._workers = workers
        self.programs = {}

    def start(self):
        for index in range(len(self.ports)):
            self.launch("web", index)
        for index in range(self._workers):
            self.launch("worker", index)
        self.launch("clock", 0)
        for program in self.programs.values():
            program.wait_ready()
        for url in self.urls:
            wait_healthy(url)

    def stop(self):
        return max(program.stop() for program in self.programs.values())

    def kill(self, role, index=0):
        self.programs[role, index].kill()

    def begin(self, role, index=0):
        """Start a role (again) and wait until it serves."""
        self.launch(role, index)
        self.programs[role, index].wait_ready()
        if role == "web":
            wait_healthy(self.urls[index])

    def launch(self, role, index=0):
        """Start a role without waiting for it."""
        command, ready = {
            "web": (("web", "--port", str(self.ports[index])), "foedus serves at"),
            "worker": (("worker",), "foedus works"),
            "clock": (("clock",), "foedus ticks"),
        }[role]
        self.programs[role, index] = self._run(*command, ready=ready)


def wait_healthy(url):
    """Returns once ``GET /healthz`` answers 200; connecting again is the only way to be told."""
    until(lambda: _is_healthy(url), within_s=START_S, what=f"{url}/healthz answers")


def until(holds, *, within_s=10.0, what="it happens"):
    """What ``holds`` returns once that is true; for things that cannot say by themselves that they happened."""
    ends_at = time.monotonic() + within_s
    pause_s = 0.002
    while not (found := holds()):
        if time.monotonic() > ends_at:
            raise TimeoutError(f"waited {within_s:g} s in vain until {what}")
        time.sleep(pause_s)
        pause_s = min(2 * pause_s, 0.1)
    return found


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def _is_healthy(url):
    try:
        return httpx.get(f"{url}/healthz", timeout=5).status_code == 200
    except httpx.TransportError:
        return False


def _started(line):
    """The role of which a line of the log says that its process was started."""
    if not line.startswith("{"):
        return None
    event = json.loads(line)
    return event.get("role") if event.get("event") == "process.started" else None
