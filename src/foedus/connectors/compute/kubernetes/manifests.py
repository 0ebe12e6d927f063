"""The objects of one run in a cluster, as plain data: a Job, the policy of its network, and the secret of its door.

All three bear the run's name and are for it alone. What they promise is what the standard "restricted" of Kubernetes
asks of pods, and a network that leads to the session's addresses and nowhere else.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from foedus.connectors.contained_runs import DOOR_PORT, MARK_LABEL, RUN_LABEL, reference_of, shell, variables_of
from foedus.connectors.internet import IPAddress
from foedus.connectors.run_layout import VOLUME
from foedus.connectors.run_sessions import address_of
from foedus.ports.compute import Job, Limits, Session

PROGRAM, DOOR = "program", "door"
SLACK_S = 60  # the node ends what is overdue; the cluster, where the node is gone
_SECRET_FOLDER = "/run/foedus"  # noqa: S105 - where it is, not what
_READY = f"import socket; socket.create_connection(('127.0.0.1', {DOOR_PORT}), 1)"
_LOG_BYTES = 64 << 20

Manifest = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Cluster:
    """How runs are placed. ``claim`` is the volume with their files, ``door`` the image that leads to sessions."""

    namespace: str
    claim: str
    door: str = ""
    pull_secret: str = ""
    runtime: str = ""


def url_of(job: Job) -> str:
    """Where the program finds its session: at the door, which is in the same pod."""
    return f"http://127.0.0.1:{DOOR_PORT}" if job.session else ""


def job_of(job: Job, mark: str, user: int, cluster: Cluster, addresses: Sequence[IPAddress]) -> Manifest:
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": _metadata(job.id, mark, cluster),
        "spec": {
            "backoffLimit": 0,
            "activeDeadlineSeconds": job.limits.seconds + SLACK_S,
            # A pod that the cluster itself takes away is no fault of the program's: it begins again elsewhere.
            "podFailurePolicy": {
                "rules": [{"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}]}]
            },
            "podReplacementPolicy": "Failed",
            "template": {
                "metadata": {"labels": _labels(job.id, mark)},
                "spec": _pod(job, user, cluster, addresses),
            },
        },
    }


def policy_of(job: Job, mark: str, cluster: Cluster, addresses: Sequence[IPAddress]) -> Manifest:
    """Nobody gets in, and what gets out goes to the session. Names cannot be looked up either."""
    out = []
    if job.session and addresses:
        port = address_of(job.session)[1]
        to = [{"ipBlock": {"cidr": f"{address}/{address.max_prefixlen}"}} for address in addresses]
        out = [{"to": to, "ports": [{"protocol": "TCP", "port": port}]}]
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": _metadata(job.id, mark, cluster),
        "spec": {
            "podSelector": {"matchLabels": {RUN_LABEL: job.id}},
            "policyTypes": ["Ingress", "Egress"],
            "ingress": [],
            "egress": out,
        },
    }


def secret_of(job: Job, mark: str, cluster: Cluster, session: str) -> Manifest:
    """The session and its token, for the door alone."""
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": _metadata(job.id, mark, cluster),
        "type": "Opaque",
        "immutable": True,
        "stringData": {"session.json": session},
    }


def _metadata(run: str, mark: str, cluster: Cluster) -> Manifest:
    return {"name": run, "namespace": cluster.namespace, "labels": _labels(run, mark)}


def _labels(run: str, mark: str) -> dict[str, str]:
    return {"app.kubernetes.io/managed-by": "foedus", RUN_LABEL: run, MARK_LABEL: mark}


def _pod(job: Job, user: int, cluster: Cluster, addresses: Sequence[IPAddress]) -> Manifest:
    pod: Manifest = {
        "restartPolicy": "Never",
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "terminationGracePeriodSeconds": 1,  # with none the pod is forgotten before it has ended
        "dnsPolicy": "None",
        "dnsConfig": {"nameservers": ["127.0.0.1"]},  # where nobody answers
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": user,
            "runAsGroup": user,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "containers": [_program(job)],
        "volumes": [
            {"name": "runs", "persistentVolumeClaim": {"claimName": cluster.claim}},
            {"name": "scratch", "emptyDir": {"sizeLimit": str(job.limits.disk_bytes)}},
        ],
    }
    if job.session:
        pod["initContainers"] = [_door(cluster)]
        pod["volumes"].append({"name": "session", "secret": {"secretName": job.id, "defaultMode": 0o444}})
        pod["hostAliases"] = _aliases(job.session, addresses)
    if cluster.pull_secret:
        pod["imagePullSecrets"] = [{"name": cluster.pull_secret}]
    if cluster.runtime:
        pod["runtimeClassName"] = cluster.runtime
    return pod


def _program(job: Job) -> Manifest:
    return {
        "name": PROGRAM,
        "image": reference_of(job.image),
        "imagePullPolicy": "IfNotPresent",
        "command": [_literal(word) for word in shell(job, url_of(job))],
        "workingDir": f"{VOLUME}/transformations",
        "env": _env(variables_of(job, url_of(job))),
        "resources": _resources(job.limits),
        "securityContext": _restricted(),
        "volumeMounts": [
            _mount(job.id, "inputs", read_only=True),
            _mount(job.id, "transformations", read_only=True),
            _mount(job.id, "outputs", read_only=False),
            {"name": "scratch", "mountPath": "/tmp"},  # noqa: S108 - the pod's own
        ],
    }


def _door(cluster: Cluster) -> Manifest:
    """Beside the program for as long as that runs, and open before it begins."""
    return {
        "name": DOOR,
        "image": cluster.door,
        "imagePullPolicy": "IfNotPresent",
        "restartPolicy": "Always",
        "command": [
            "python", "-m", "foedus.connectors.session_door",
            f"{_SECRET_FOLDER}/session.json", "127.0.0.1", str(DOOR_PORT),
        ],
        "startupProbe": {"exec": {"command": ["python", "-c", _READY]}, "periodSeconds": 1, "failureThreshold": 120},
        "resources": _resources(Limits(cpus=0.5, memory_bytes=256 << 20, disk_bytes=64 << 20)),
        "securityContext": _restricted(),
        "volumeMounts": [{"name": "session", "mountPath": _SECRET_FOLDER, "readOnly": True}],
    }  # fmt: skip


def _restricted() -> Manifest:
    return {
        "privileged": False,
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "runAsNonRoot": True,
        "capabilities": {"drop": ["ALL"]},
    }


def _resources(limits: Limits) -> Manifest:
    """As much as was bought is promised and no more is given."""
    bought = {
        "cpu": f"{max(1, round(limits.cpus * 1000))}m",
        "memory": str(limits.memory_bytes),
        "ephemeral-storage": str(limits.disk_bytes + _LOG_BYTES),
    }
    return {"limits": bought, "requests": bought}


def _mount(run: str, folder: str, *, read_only: bool) -> Manifest:
    return {"name": "runs", "mountPath": f"{VOLUME}/{folder}", "subPath": f"{run}/{folder}", "readOnly": read_only}


def _env(variables: Mapping[str, str]) -> list[Manifest]:
    return [{"name": name, "value": _literal(value)} for name, value in variables.items()]


def _literal(text: str) -> str:
    """The text as it is: a cluster would put variables in for ``$(NAME)``."""
    return text.replace("$", "$$")


def _aliases(session: Session, addresses: Sequence[IPAddress]) -> list[Manifest]:
    """The session's name, which cannot be looked up in there."""
    host = address_of(session)[0]
    return [{"ip": str(address), "hostnames": [host]} for address in addresses if host != str(address)]
