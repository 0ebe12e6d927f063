"""Programs in containers: ``docker:``, ``docker:/run/podman/podman.sock?door=IMAGE@sha256:...``."""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import cached_property
from http import HTTPStatus
from pathlib import Path
from typing import Any, Self
from urllib.parse import unquote

from foedus.connectors.addresses import BadAddress, driver_of, flag, split_address
from foedus.connectors.contained_runs import (
    DOOR_PORT,
    MARK_LABEL,
    ContainedRuns,
    Sight,
    door_in,
    hand_over,
    reference_of,
)
from foedus.connectors.run_layout import Layout
from foedus.connectors.session_door import OPEN
from foedus.core.errors import Invalid
from foedus.ports.compute import ComputeUnavailable, Job, RunExists

with driver_of("docker"):
    import docker
    from docker.errors import APIError, DockerException, ImageNotFound, NotFound
    from requests.exceptions import RequestException

    from foedus.connectors.compute.docker.containers import (
        Told,
        door_name_of,
        door_of,
        labels_of,
        name_of,
        program_of,
    )

_SOCKET = "/var/run/docker.sock"
_OPEN = "what listens on all addresses of this machine, unless its firewall keeps the engine's networks out"
_ANSWER_S = 60
_HEARD_S, _LOOK_EVERY_S = 3.0, 0.1
_REFUSED = (HTTPStatus.BAD_REQUEST, HTTPStatus.NOT_FOUND)


class DockerCompute(ContainedRuns):
    """Runs below ``runs`` in the data folder, which the engine has to see under the same path."""

    @classmethod
    def from_url(cls, url: str, *, data: Path, allow: Sequence[str] = ()) -> Self:
        parts, options = split_address(url, {"door", "pull"})
        socket = unquote(parts.path) or _SOCKET
        if parts.netloc or not Path(socket).is_absolute():
            raise BadAddress("The engine is a socket of this machine: docker:/var/run/docker.sock", scheme=parts.scheme)
        door = door_in(options, parts.scheme)
        pulls = "pull" not in options or flag(options, "pull")
        return cls(data.absolute() / "runs", Containers(socket, door, pulls=pulls), allow)


class Containers:
    """A place for containers. They are known by their names, so that any process finds them."""

    def __init__(self, socket: str, door: str, *, pulls: bool) -> None:
        self._socket = socket
        self._door = door
        self._pulls = pulls

    @cached_property
    def _engine(self) -> Any:
        """Asks the engine which version it speaks: not before somebody runs something."""
        return docker.DockerClient(base_url=f"unix://{self._socket}", timeout=_ANSWER_S)

    def open_to(self, job: Job) -> tuple[str, ...]:
        """Engines keep a network that leads nowhere from others, and not from the machine that it is on."""
        return (_OPEN,) if job.session else ()

    def begin(self, job: Job, layout: Layout, mark: str) -> None:
        if job.session and not self._door:
            raise Invalid(
                "this server has no door= to sessions: see how to run programs in containers", field="session"
            )
        user = hand_over(layout)
        with _translated(job.id):
            self._fetch(reference_of(job.image))
            url = self._open(job, layout, mark, user) if job.session else ""
            self._started(program_of(job, layout, mark, user, url))

    def look(self, run: str) -> Sight | None:
        with _translated(run):
            try:
                state = self._engine.containers.get(name_of(run)).attrs["State"]
            except NotFound:
                return None
        return seen(state)

    def await_change(self, run: str, timeout_s: float) -> None:
        """The engine answers once the container has ended; some, as Podman 4, do not hear of every end."""
        with _translated(run), suppress(NotFound, RequestException):
            self._engine.containers.get(name_of(run)).wait(timeout=min(timeout_s, _HEARD_S), condition="not-running")

    def log(self, run: str) -> Iterator[bytes]:
        with _translated(run), suppress(NotFound):
            yield self._engine.containers.get(name_of(run)).logs()  # no more of it than the engine is told to keep

    def end(self, run: str) -> None:
        with _translated(run):
            for name in (name_of(run), door_name_of(run)):
                with suppress(NotFound):
                    self._engine.containers.get(name).remove(force=True, v=True)
            for network in self._networks(name_of(run)):
                with suppress(NotFound):
                    network.remove()

    def close(self) -> None:
        if "_engine" in self.__dict__:
            self._engine.close()

    def _fetch(self, reference: str) -> None:
        try:
            self._engine.images.get(reference)
        except ImageNotFound:
            if not self._pulls:
                raise Invalid(f"the image {reference} is not on this machine", field="image") from None
            self._engine.images.pull(reference)

    def _open(self, job: Job, layout: Layout, mark: str, user: int) -> str:
        """Where the program finds the door, which is open by then."""
        self._fetch(self._door)
        name = name_of(job.id)
        found = self._networks(name)
        network = found[0] if found else self._made_network(job.id, mark)
        subnet = network.attrs["IPAM"]["Config"][0]["Subnet"]
        door = self._started(door_of(job, layout, mark, user, self._door, subnet), network)
        until = time.monotonic() + _ANSWER_S
        while OPEN.encode() not in door.logs():
            if time.monotonic() > until:
                raise ComputeUnavailable("the door to the session does not open; its log says why", run=job.id)
            time.sleep(_LOOK_EVERY_S)
        door.reload()
        return f"http://{door.attrs['NetworkSettings']['Networks'][name]['IPAddress']}:{DOOR_PORT}"

    def _networks(self, name: str) -> list[Any]:
        """Those of this name. An engine finds all as well whose names have it in them, such as other runs'."""
        return [network for network in self._engine.networks.list(names=[name]) if network.name == name]

    def _made_network(self, run: str, mark: str) -> Any:
        made = self._engine.networks.create(
            name_of(run), driver="bridge", internal=True, labels=labels_of(run, mark), check_duplicate=True
        )
        made.reload()
        return made

    def _started(self, told: Told, network: Any = None) -> Any:
        """The container, once: one that was begun before is left as it is. Raises RunExists for another's."""
        try:
            container = self._engine.containers.create(**told)
        except APIError as exc:
            if exc.status_code != HTTPStatus.CONFLICT:
                raise
            container = self._engine.containers.get(told["name"])
            if container.labels.get(MARK_LABEL) != told["labels"][MARK_LABEL]:
                raise RunExists(container=told["name"]) from None
        if container.status == "created":
            if network is not None and network.name not in container.attrs["NetworkSettings"]["Networks"]:
                network.connect(container)
            container.start()
        return container


def seen(state: Told) -> Sight:
    """What the state of a container says of a run."""
    if state["Status"] not in ("exited", "dead", "stopped"):
        return Sight(is_over=False)
    if state.get("OOMKilled"):
        return Sight(is_over=True, exit_code=state["ExitCode"], reason="it used more memory than was bought")
    return Sight(is_over=True, exit_code=state["ExitCode"])


@contextmanager
def _translated(run: str) -> Iterator[None]:
    try:
        yield
    except APIError as exc:
        if exc.status_code in _REFUSED:
            raise Invalid(f"the engine refuses this: {str(exc.explanation)[:300]}", field="job") from exc
        raise ComputeUnavailable(
            f"the engine does not do it: {exc.status_code} {exc.explanation}"[:400], run=run
        ) from exc
    except (DockerException, RequestException) as exc:
        raise ComputeUnavailable(f"the engine does not answer: {type(exc).__name__}", run=run) from exc
