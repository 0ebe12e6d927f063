"""Programs as Jobs of a cluster: ``kubernetes:?volume=CLAIM&folder=/srv/runs``."""

import json
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from http import HTTPStatus
from math import ceil
from pathlib import Path
from typing import Any, Self

from urllib3.exceptions import HTTPError
from urllib3.util import Retry

from foedus.connectors.addresses import BadAddress, driver_of, flag, split_address
from foedus.connectors.compute.kubernetes.manifests import (
    PROGRAM,
    Cluster,
    Manifest,
    job_of,
    policy_of,
    secret_of,
)
from foedus.connectors.contained_runs import MARK_LABEL, RUN_LABEL, ContainedRuns, Sight, door_in, hand_over
from foedus.connectors.run_layout import Layout
from foedus.connectors.run_sessions import check_session
from foedus.core.errors import Invalid
from foedus.ports.compute import ComputeUnavailable, Job, RunExists

with driver_of("kubernetes"):
    from kubernetes import client as api
    from kubernetes import config, watch

_OPTIONS = {"namespace", "volume", "folder", "door", "pull_secret", "runtime", "config", "context", "enforced"}
_OPEN = "the network of the cluster, unless its network plugin enforces policies"
_CONNECT_S, _READ_S = 10.0, 60.0
_CHUNK_BYTES = 1 << 16
_TOKEN = "/var/run/secrets/kubernetes.io/serviceaccount/token"  # noqa: S105 - where it is, not what
_END_S, _END_EVERY_S = 30.0, 0.1
_NEVER_BEGINS = {"InvalidImageName", "ErrImageNeverPull", "CreateContainerConfigError", "ImageInspectError"}
_OURS = {"Evicted", "NodeLost", "Preempting", "Shutdown", "NodeShutdown", "Terminated", "UnexpectedAdmissionError"}
# Said before anything was done, so that it may be asked again, whatever it was.
_AGAIN = Retry(
    total=4, connect=2, read=0, other=0, redirect=0, status_forcelist=[HTTPStatus.TOO_MANY_REQUESTS],
    allowed_methods=None, backoff_factor=0.2, raise_on_status=False,
)  # fmt: skip


class KubernetesCompute(ContainedRuns):
    """Runs whose files lie in ``folder``, which is the volume ``volume`` of the cluster, as this server sees it."""

    @classmethod
    def from_url(cls, url: str, *, data: Path, allow: Sequence[str] = ()) -> Self:  # noqa: ARG003 - as all have it
        parts, options = split_address(url, _OPTIONS)
        if parts.netloc or parts.path:
            raise BadAddress("The cluster is named by config= and context=; write kubernetes:?...", scheme=parts.scheme)
        folder = Path(options.get("folder", ""))
        if not options.get("volume") or not folder.is_absolute() or not folder.is_dir():
            raise BadAddress(
                "volume= names a claim of the cluster, and folder= where this server has mounted the same volume.",
                scheme=parts.scheme,
            )
        cluster = Cluster(
            namespace=options.get("namespace", "default"),
            claim=options["volume"],
            door=door_in(options, parts.scheme),
            pull_secret=options.get("pull_secret", ""),
            runtime=options.get("runtime", ""),
        )
        place = JobsOfCluster(_client(options), cluster, allow, is_enforced=flag(options, "enforced"))
        return cls(folder, place, allow)


class JobsOfCluster:
    """A place for containers. What it knows is in the cluster: any process that asks for a run's name finds it."""

    def __init__(self, client: Any, cluster: Cluster, allow: Sequence[str], *, is_enforced: bool) -> None:
        self._client = client
        self._jobs = api.BatchV1Api(client)
        self._core = api.CoreV1Api(client)
        self._networks = api.NetworkingV1Api(client)
        self._cluster = cluster
        self._allow = allow
        self._is_enforced = is_enforced

    def open_to(self, job: Job) -> tuple[str, ...]:  # noqa: ARG002 - the same for all
        return () if self._is_enforced else (_OPEN,)

    def begin(self, job: Job, layout: Layout, mark: str) -> None:
        """The policy and the secret come first: no program runs for a moment without them."""
        if job.session and not self._cluster.door:
            raise Invalid("this server has no door= to sessions: see how to run programs in a cluster", field="session")
        addresses = check_session(job.session, self._allow)
        if job.session and not addresses:
            raise ComputeUnavailable("the session's host has no address yet", run=job.id)
        manifest = job_of(job, mark, hand_over(layout), self._cluster, addresses)
        make = self._networks.create_namespaced_network_policy
        self._made(make, policy_of(job, mark, self._cluster, addresses))
        if job.session:
            secret = secret_of(job, mark, self._cluster, layout.session.read_text())
            self._made(self._core.create_namespaced_secret, secret)
        if not self._made(self._jobs.create_namespaced_job, manifest):
            with _translated(job.id):
                found = self._jobs.read_namespaced_job(job.id, self._cluster.namespace)
            if (found.metadata.labels or {}).get(MARK_LABEL) != mark:
                raise RunExists(run=job.id)
            if found.metadata.deletion_timestamp:
                raise ComputeUnavailable("the run of this name before it is still being removed", run=job.id)

    def look(self, run: str) -> Sight | None:
        with _translated(run):
            try:
                found = self._jobs.read_namespaced_job_status(run, self._cluster.namespace)
            except api.ApiException as exc:
                if exc.status == HTTPStatus.NOT_FOUND:
                    return None
                raise
            pods = self._pods(run)
        return seen(found.to_dict(), [pod.to_dict() for pod in pods])

    def await_change(self, run: str, timeout_s: float) -> None:
        """Hear from the cluster once the Job has changed: the stream begins with how it stands."""
        seconds = max(1, ceil(timeout_s))
        stream = watch.Watch()
        asked = {
            "namespace": self._cluster.namespace,
            "field_selector": f"metadata.name={run}",
            "timeout_seconds": seconds,
            "_request_timeout": (_CONNECT_S, seconds + _READ_S),
        }
        with _translated(run), suppress(HTTPError):  # whoever looks next hears whether the cluster is there
            for event in stream.stream(self._jobs.list_namespaced_job, **asked):
                conditions = event["object"].status.conditions or []
                if event["type"] == "DELETED" or any(_ends(each.type, each.status) for each in conditions):
                    return

    def log(self, run: str) -> Iterator[bytes]:
        with _translated(run):
            pods = self._pods(run)
        for pod in pods[-1:]:
            try:
                with _translated(run):
                    answer = self._core.read_namespaced_pod_log(
                        pod.metadata.name, self._cluster.namespace, container=PROGRAM, _preload_content=False
                    )
                    yield from answer.stream(_CHUNK_BYTES)
            except Invalid:  # it has not begun, or is gone
                return

    def end(self, run: str) -> None:
        """The Job with its pods, and then what shut these in: nothing runs without it for a moment."""
        name = (run, self._cluster.namespace)
        with _translated(run):
            with _if_there():
                self._jobs.delete_namespaced_job(*name, propagation_policy="Background")
            until = time.monotonic() + _END_S
            while pods := self._pods(run):
                for pod in pods:  # at once, not when the cluster gets round to it
                    with _if_there():
                        self._core.delete_namespaced_pod(pod.metadata.name, name[1])
                if time.monotonic() > until:
                    raise ComputeUnavailable("the cluster has not ended the run's pods yet", run=run)
                time.sleep(_END_EVERY_S)
            with _if_there():
                self._core.delete_namespaced_secret(*name)
            with _if_there():
                self._networks.delete_namespaced_network_policy(*name)

    def close(self) -> None:
        self._client.close()

    def _pods(self, run: str) -> list[Any]:
        """The run's pods, the newest last."""
        found = self._core.list_namespaced_pod(self._cluster.namespace, label_selector=f"{RUN_LABEL}={run}").items
        return sorted(found, key=lambda pod: (pod.metadata.creation_timestamp, pod.metadata.name))

    def _made(self, make: Any, manifest: Manifest) -> bool:
        """False where there is one of this name already."""
        with _translated(manifest["metadata"]["name"]):
            try:
                make(self._cluster.namespace, manifest)
            except api.ApiException as exc:
                if exc.status == HTTPStatus.CONFLICT:
                    return False
                raise
        return True


def seen(job: Manifest, pods: Sequence[Manifest]) -> Sight:
    """What a Job and its pods, as the client reads them, say of a run."""
    conditions = (job["status"] or {}).get("conditions") or ()
    ends = [each for each in conditions if _ends(each["type"], each["status"])]
    pod: Manifest = pods[-1]["status"] if pods else {}
    states = [each["state"] or {} for each in pod.get("container_statuses") or () if each["name"] == PROGRAM]
    state: Manifest = states[0] if states else {}
    if not ends:
        return _going_on(pod, state)
    if ends[0]["type"] == "Complete":
        return Sight(is_over=True, exit_code=0)
    return _failed(pod, state.get("terminated") or {}, ends[0].get("reason") or "the Job failed")


def _going_on(pod: Manifest, state: Manifest) -> Sight:
    if state.get("running") or state.get("terminated"):
        return Sight(is_over=False)
    unmet = [each for each in pod.get("conditions") or () if each["status"] == "False" and each.get("message")]
    waits = state.get("waiting") or (unmet[0] if unmet else {})
    why = " ".join(filter(None, (waits.get("reason"), waits.get("message")))) or "the cluster has not placed it yet"
    return Sight(waits.get("reason") in _NEVER_BEGINS, reason=why[:300], is_ours=True, has_begun=False)


def _failed(pod: Manifest, ended: Manifest, why: str) -> Sight:
    if pod.get("reason") in _OURS:
        told = f"the cluster took it away: {pod.get('message') or pod['reason']}"
        return Sight(is_over=True, reason=told[:300], is_ours=True)
    if ended.get("reason") == "OOMKilled":
        return Sight(is_over=True, exit_code=ended["exit_code"], reason="it used more memory than was bought")
    if ended:
        return Sight(is_over=True, exit_code=ended["exit_code"])
    if why == "DeadlineExceeded":
        return Sight(is_over=True, reason="it took longer than was bought")
    return Sight(is_over=True, reason=f"the cluster gave it up: {why}", is_ours=True)


def _ends(kind: str, status: str) -> bool:
    return status == "True" and kind in ("Complete", "Failed")


def _client(options: dict[str, str]) -> Any:
    """From the service account of the pod that this server runs in, unless a file is named or there is none."""
    settings = api.Configuration()
    is_named = "config" in options or "context" in options
    try:
        if is_named or not Path(_TOKEN).exists():
            config.load_kube_config(options.get("config"), options.get("context"), settings)
        else:
            config.load_incluster_config(settings)
    except (config.ConfigException, OSError) as exc:
        raise BadAddress("No cluster is known: name a kubeconfig by config=, and its context by context=.") from exc
    settings.retries = _AGAIN
    return api.ApiClient(settings)


@contextmanager
def _if_there() -> Iterator[None]:
    try:
        yield
    except api.ApiException as exc:
        if exc.status != HTTPStatus.NOT_FOUND:
            raise


@contextmanager
def _translated(run: str) -> Iterator[None]:
    try:
        yield
    except api.ApiException as exc:
        if exc.status in (HTTPStatus.BAD_REQUEST, HTTPStatus.NOT_FOUND, HTTPStatus.UNPROCESSABLE_ENTITY):
            raise Invalid(f"the cluster refuses this: {_said(exc)}", field="job") from exc
        raise ComputeUnavailable(f"the cluster does not do it: {exc.status} {_said(exc)}", run=run) from exc
    except HTTPError as exc:
        raise ComputeUnavailable(f"the cluster does not answer: {type(exc).__name__}", run=run) from exc


def _said(error: Any) -> str:
    with suppress(ValueError, TypeError, AttributeError):
        return str(json.loads(error.body)["message"])[:300]
    return str(error.reason)[:300]
