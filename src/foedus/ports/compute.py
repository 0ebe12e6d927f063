"""Running a program of somebody else's next to data: the place where what was bought is computed.

    start -> running -> succeeded | failed | error

A run is named by who starts it, so that whoever does not know whether ``start`` took effect calls it again. A program
gets copies of its inputs that it cannot write, a folder for what it leaves, and no network but the session it takes
part in. No key of the node ever enters a run.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import BinaryIO, NoReturn, Protocol

from foedus.core.errors import Conflict, Invalid, NotFound, Unavailable
from foedus.ports.secrets import Secret

MAX_FILES = 1_000
MAX_LOG_BYTES = 8 << 20
MAX_LINE_CHARACTERS = 4_096
MAX_SCRIPT_CHARACTERS = 10_000
MAX_OUTPUTS = 1_000
MAX_URL_CHARACTERS = 300
SESSION_VARIABLES = ("NEVERMINED_COORDINATOR_URL", "COORDINATOR_URL")  # what a program finds its session's address in
DOOR_HEADER = "X-Foedus-Door"  # tells a session under which address its program knows it
_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")
_ADDRESS = re.compile(r"https?://(?:[A-Za-z0-9.-]+|\[[0-9A-Fa-f:.]+\])(?::[0-9]{1,5})?/?")
_TOKEN = re.compile(r"[A-Za-z0-9\-._~+/=]{1,1000}")
_VARIABLE = re.compile(r"[A-Z][A-Z0-9_]{0,63}")
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_MAX_FILE_NAME_BYTES = 200


class RunMissing(NotFound):
    """There is no such run."""


class RunExists(Conflict):
    """A run of this name was started before, with another program."""


class ComputeMissing(Invalid):
    """This server runs no programs; set FOEDUS_COMPUTE."""


class ComputeUnavailable(Unavailable):
    """The place where programs run does not answer."""


class Phase(StrEnum):
    RUNNING = "Running"
    SUCCEEDED = "Succeeded"
    FAILED = "Failed"  # the program's fault, or somebody stopped it
    ERROR = "Error"  # ours: it could not be run, or was lost


@dataclass(frozen=True, slots=True)
class Image:
    """A container image by its digest (``sha256:`` and 64 digits): a tag may point elsewhere tomorrow."""

    name: str
    digest: str

    def __post_init__(self) -> None:
        if not _DIGEST.fullmatch(self.digest):
            raise Invalid("an image is named by its digest, sha256: and 64 hexadecimal digits", field="image")


@dataclass(frozen=True, slots=True)
class InputFile:
    """A file on this machine that the program shall find under ``name``."""

    name: str
    path: Path

    def __post_init__(self) -> None:
        if (
            self.name in ("", ".", "..")
            or any(c in self.name for c in "/\\\0")
            or len(self.name.encode()) > _MAX_FILE_NAME_BYTES
        ):
            raise Invalid(f"{self.name[:80]!r} cannot be the name of a file in a folder", field="name")


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What a run may use. ``disk_bytes`` of outputs; ``seconds`` of wall clock."""

    cpus: float = 1.0
    memory_bytes: int = 2 << 30
    disk_bytes: int = 2 << 30
    seconds: int = 3600

    def __post_init__(self) -> None:
        for name in ("cpus", "memory_bytes", "disk_bytes", "seconds"):
            if not getattr(self, name) > 0:
                raise Invalid(f"the limit {name} must be more than 0", field=name)


@dataclass(frozen=True, slots=True)
class Session:
    """The one address that a run may reach. ``token`` is added on its way there: the program never sees it.

    Whoever bought the run names it: a connector asks the operator's guard before it connects.
    """

    url: str
    token: Secret

    def __post_init__(self) -> None:
        if len(self.url) > MAX_URL_CHARACTERS or not _ADDRESS.fullmatch(self.url):
            raise Invalid("a session lies at http://host:port or https://host:port, without a path", field="url")
        if not _TOKEN.fullmatch(self.token.reveal()):
            raise Invalid("a session's token has 1 to 1000 letters, digits and any of -._~+/=", field="token")


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """A program: ``script`` is a shell's text, run in the folder of ``programs``. ``id`` names the run."""

    id: str
    script: str
    image: Image | None = None
    inputs: tuple[InputFile, ...] = ()
    programs: tuple[InputFile, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    limits: Limits = field(default_factory=Limits)
    session: Session | None = None

    def __post_init__(self) -> None:
        check_run(self.id)
        if not 0 < len(self.script) <= MAX_SCRIPT_CHARACTERS or "\0" in self.script:
            raise Invalid(f"an entrypoint has 1 to {MAX_SCRIPT_CHARACTERS} characters", field="script")
        for files in (self.inputs, self.programs):
            names = [file.name for file in files]
            if len(names) > MAX_FILES or len(set(names)) < len(names):
                raise Invalid(f"at most {MAX_FILES} files, each with a name of its own", field="files")
        for name, value in self.environment.items():
            if not _VARIABLE.fullmatch(name) or "\0" in value:
                raise Invalid(f"{name[:80]!r} cannot be a variable of the environment", field="environment")


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """How a run stands. ``open_to`` says in words what it could reach beyond what the port promises; mostly nothing."""

    id: str
    phase: Phase
    started_at: datetime
    finished_at: datetime | None = None
    exit_code: int | None = None
    reason: str = ""
    open_to: tuple[str, ...] = ()

    @property
    def is_over(self) -> bool:
        return self.phase is not Phase.RUNNING


@dataclass(frozen=True, slots=True)
class Output:
    """A file that a run left; ``name`` is its path below the folder, with ``/`` between."""

    name: str
    bytes: int


def check_run(name: str) -> None:
    if not _NAME.fullmatch(name):
        raise Invalid("a run is named by 1 to 63 of a-z, 0-9 and -, the first no -", field="id")


class Compute(Protocol):
    """Where programs run. Safe to use from many threads and processes; every verb may be repeated.

    Any may raise ComputeUnavailable. Runs go on, and are found again, when the process that started them is gone.
    """

    def start(self, job: Job) -> Run:
        """Start a program, once: a run of this name that is there already is left as it is.

        Raises RunExists where that one has another program, Invalid where this place cannot run it.
        """
        ...

    def find(self, run: str) -> Run:
        """Raises RunMissing."""
        ...

    def wait(self, run: str, timeout_s: float) -> Run:
        """The run once it is over, or as it stands after the timeout. Raises RunMissing."""
        ...

    def log(self, run: str, *, after: int = 0, limit: int = 1_000) -> Sequence[str]:
        """Lines that the program wrote, in order, without the first ``after``. Raises RunMissing."""
        ...

    def stop(self, run: str) -> Run:
        """End a run that goes on: it has failed, since somebody stopped it. Raises RunMissing."""
        ...

    def outputs(self, run: str) -> Iterator[Output]:
        """What a run that is over left, by name; links and special files are left out. Raises RunMissing."""
        ...

    def open(self, run: str, name: str) -> AbstractContextManager[BinaryIO]:
        """One of the outputs. Raises RunMissing, and Invalid for a name that is not among them."""
        ...

    def remove(self, run: str) -> None:
        """Forget a run and all its files, ending it where it goes on; no error where there is none."""
        ...

    def close(self) -> None: ...


class NoCompute:
    """A server that runs nothing for anybody."""

    def _missing(self, *_: object, **__: object) -> NoReturn:
        raise ComputeMissing

    start = find = wait = log = stop = outputs = open = remove = _missing

    def close(self) -> None: ...
