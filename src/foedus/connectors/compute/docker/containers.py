"""The containers of one run: its program, and the door to its session, as what Docker's client is told to create.

A program has no network at all, or one of its own that leads nowhere, and on which the door is. The door is on the
engine's usual network as well, but listens on the run's alone.
"""

from typing import Any

from docker.types import LogConfig, Mount, Ulimit

from foedus.connectors.contained_runs import DOOR_PORT, MARK_LABEL, RUN_LABEL, reference_of, shell, variables_of
from foedus.connectors.run_layout import VOLUME, Layout
from foedus.ports.compute import MAX_LOG_BYTES, Job

_SESSION_FILE = "/run/session.json"
_PROCESSES, _OPEN_FILES = 512, 1024
_DOOR_BYTES = 256 << 20
_SCRATCH_BYTES = 1 << 30

Told = dict[str, Any]


def name_of(run: str) -> str:
    """Of the program's container, and of its network."""
    return f"foedus-{run}"


def door_name_of(run: str) -> str:
    return f"foedus-{run}-door"


def labels_of(run: str, mark: str) -> dict[str, str]:
    return {RUN_LABEL: run, MARK_LABEL: mark}


def program_of(job: Job, layout: Layout, mark: str, user: int, url: str) -> Told:
    """``url`` is where the door is; empty where there is none."""
    shell_, *words = shell(job, url)
    limits = job.limits
    return {
        **_restricted(user, limits.memory_bytes),
        "name": name_of(job.id),
        "image": reference_of(job.image),
        "entrypoint": [shell_],
        "command": words,
        "environment": variables_of(job, url),
        "working_dir": f"{VOLUME}/transformations",
        "labels": labels_of(job.id, mark),
        "mounts": [
            _bound(layout.inputs, f"{VOLUME}/inputs", read_only=True),
            _bound(layout.programs, f"{VOLUME}/transformations", read_only=True),
            _bound(layout.outputs, f"{VOLUME}/outputs", read_only=False),
        ],
        "nano_cpus": max(10_000_000, round(limits.cpus * 1e9)),  # an engine takes no less than a hundredth
        "tmpfs": {"/tmp": f"size={min(limits.memory_bytes, limits.disk_bytes, _SCRATCH_BYTES)},mode=1777"},  # noqa: S108
        "network_mode": name_of(job.id) if url else "none",
        "dns": ["127.0.0.1"] if url else None,  # where nobody answers
    }


def door_of(job: Job, layout: Layout, mark: str, user: int, image: str, subnet: str) -> Told:
    """``subnet`` is that of the run's network, on which it listens."""
    return {
        **_restricted(user, _DOOR_BYTES),
        "name": door_name_of(job.id),
        "image": image,
        "entrypoint": ["python"],
        "command": ["-m", "foedus.connectors.session_door", _SESSION_FILE, subnet, str(DOOR_PORT)],
        "labels": labels_of(job.id, mark),
        "mounts": [_bound(layout.session, _SESSION_FILE, read_only=True)],
        "network_mode": "bridge",
        "restart_policy": {"Name": "on-failure", "MaximumRetryCount": 5},
    }


def _restricted(user: int, memory_bytes: int) -> Told:
    return {
        "user": f"{user}:{user}",
        "read_only": True,
        "privileged": False,
        "cap_drop": ["ALL"],
        "security_opt": ["no-new-privileges"],
        "ipc_mode": "private",
        "mem_limit": memory_bytes,
        "memswap_limit": memory_bytes,  # both together: no swap
        "pids_limit": _PROCESSES,
        "ulimits": [Ulimit(name="nofile", soft=_OPEN_FILES, hard=_OPEN_FILES), Ulimit(name="core", soft=0, hard=0)],
        "log_config": LogConfig(type="json-file", config={"max-size": str(2 * MAX_LOG_BYTES)}),
    }


def _bound(source: Any, target: str, *, read_only: bool) -> Mount:
    return Mount(target, str(source), type="bind", read_only=read_only)
