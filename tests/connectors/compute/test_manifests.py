"""What a cluster is asked for, checked against the published schemas and against what a run may never have."""

import ipaddress
import json

import kubernetes_validate
import pytest

from foedus.connectors.compute.kubernetes.cluster import seen
from foedus.connectors.compute.kubernetes.manifests import Cluster, job_of, policy_of, secret_of
from foedus.connectors.contained_runs import Sight
from foedus.ports.compute import Image, InputFile, Job, Limits, Session
from foedus.ports.secrets import Secret

CLUSTER = Cluster(namespace="ns", claim="runs", door="door@sha256:" + "cd" * 32)
ADDRESSES = [ipaddress.ip_address("203.0.113.7"), ipaddress.ip_address("2001:db8::1")]
SESSION = Session("https://coordinator.example:8443", Secret("the-token"))


def job(tmp_path, session=None):
    return Job(
        id="a-run", script="python train.py", image=Image("registry.example:5000/x/y:latest", "sha256:" + "ab" * 32),
        inputs=(InputFile("rows.csv", tmp_path),), session=session,
        limits=Limits(cpus=1.5, memory_bytes=3 << 30, disk_bytes=5 << 30, seconds=600),
    )  # fmt: skip


@pytest.mark.parametrize("session", [None, SESSION])
@pytest.mark.parametrize("more", [{}, {"pull_secret": "registry", "runtime": "gvisor"}])
@pytest.mark.parametrize("version", ["1.29", "1.33"])
def test_the_schemas_of_kubernetes_know_every_field(tmp_path, session, more, version):
    cluster = Cluster(namespace="ns", claim="runs", door=CLUSTER.door, **more)
    wanted = job(tmp_path, session)

    for manifest in (
        job_of(wanted, "mark", 1000, cluster, ADDRESSES),
        policy_of(wanted, "mark", cluster, ADDRESSES),
        secret_of(wanted, "mark", cluster, "{}"),
    ):
        kubernetes_validate.validate(manifest, version, strict=True)


@pytest.mark.parametrize("session", [None, SESSION])
def test_no_container_has_rights_that_a_program_of_strangers_must_not_have(tmp_path, session):
    spec = job_of(job(tmp_path, session), "mark", 1000, CLUSTER, ADDRESSES)["spec"]["template"]["spec"]

    assert spec["automountServiceAccountToken"] is False
    assert not {"hostNetwork", "hostPID", "hostIPC", "serviceAccountName"} & set(spec)
    assert spec["securityContext"]["runAsUser"] == 1000
    containers = spec["containers"] + spec.get("initContainers", [])
    for container in containers:
        assert "@sha256:" in container["image"]
        assert container["securityContext"] == {
            "privileged": False, "allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True,
            "runAsNonRoot": True, "capabilities": {"drop": ["ALL"]},
        }  # fmt: skip
        assert container["resources"]["limits"] == container["resources"]["requests"]
    assert len(containers) == (2 if session else 1)
    assert all("hostPath" not in volume for volume in spec["volumes"])


def test_a_run_sees_its_own_folders_and_writes_one(tmp_path):
    (program,) = job_of(job(tmp_path), "mark", 1000, CLUSTER, [])["spec"]["template"]["spec"]["containers"]

    mounts = {mount["mountPath"]: (mount.get("subPath"), mount.get("readOnly")) for mount in program["volumeMounts"]}
    assert mounts == {
        "/data/inputs": ("a-run/inputs", True),
        "/data/transformations": ("a-run/transformations", True),
        "/data/outputs": ("a-run/outputs", False),
        "/tmp": (None, None),
    }
    assert program["image"] == "registry.example:5000/x/y@sha256:" + "ab" * 32
    assert program["resources"]["limits"]["cpu"] == "1500m"
    assert program["resources"]["limits"]["memory"] == str(3 << 30)


def test_the_network_leads_to_the_session_and_nowhere_else(tmp_path):
    alone = policy_of(job(tmp_path), "mark", CLUSTER, [])["spec"]
    joined = policy_of(job(tmp_path, SESSION), "mark", CLUSTER, ADDRESSES)["spec"]

    assert (alone["ingress"], alone["egress"], alone["policyTypes"]) == ([], [], ["Ingress", "Egress"])
    assert joined["ingress"] == []
    assert joined["egress"] == [
        {
            "to": [{"ipBlock": {"cidr": "203.0.113.7/32"}}, {"ipBlock": {"cidr": "2001:db8::1/128"}}],
            "ports": [{"protocol": "TCP", "port": 8443}],
        }
    ]
    assert joined["podSelector"] == {"matchLabels": {"foedus.run": "a-run"}}


def test_the_token_is_the_doors_alone(tmp_path):
    spec = job_of(job(tmp_path, SESSION), "mark", 1000, CLUSTER, ADDRESSES)["spec"]["template"]["spec"]

    (program,), (door,) = spec["containers"], spec["initContainers"]
    assert "the-token" not in json.dumps(spec)
    assert "session" not in {mount["name"] for mount in program["volumeMounts"]}
    assert [mount["name"] for mount in door["volumeMounts"]] == ["session"]
    assert {"name": "NEVERMINED_COORDINATOR_URL", "value": "http://127.0.0.1:8750"} in program["env"]
    assert {"ip": "203.0.113.7", "hostnames": ["coordinator.example"]} in spec["hostAliases"]


def status(kind=None, reason=None):
    conditions = [{"type": kind, "status": "True", "reason": reason, "message": None}] if kind else None
    return {"status": {"conditions": conditions}}


def pod(container=None, **fields):
    statuses = [{"name": "program", "state": container}] if container else None
    return {"status": {"container_statuses": statuses, "conditions": None, "reason": None, "message": None, **fields}}


@pytest.mark.parametrize(
    ("job_status", "pods", "expected"),
    [
        (status(), [], Sight(False, None, "the cluster has not placed it yet", True, False)),
        (
            status(),
            [pod(conditions=[{"status": "False", "reason": "Unschedulable", "message": "0/3 nodes are available"}])],
            Sight(False, None, "Unschedulable 0/3 nodes are available", True, False),
        ),
        (status(), [pod({"waiting": {"reason": "ErrImagePull"}})], Sight(False, None, "ErrImagePull", True, False)),
        (status(), [pod({"waiting": {"reason": "ErrImageNeverPull"}})],
         Sight(True, None, "ErrImageNeverPull", True, False)),
        (status(), [pod({"running": {"started_at": "now"}})], Sight(is_over=False)),
        (status("Suspended"), [pod({"running": {"started_at": "now"}})], Sight(is_over=False)),
        (status("Complete"), [], Sight(True, 0)),
        (status("Failed", "BackoffLimitExceeded"), [pod({"terminated": {"exit_code": 7}})], Sight(True, 7)),
        (
            status("Failed", "BackoffLimitExceeded"),
            [pod({"terminated": {"exit_code": 137, "reason": "OOMKilled"}})],
            Sight(True, 137, "it used more memory than was bought"),
        ),
        (
            status("Failed", "BackoffLimitExceeded"),
            [pod(reason="Evicted", message="The node was low on resource: memory.")],
            Sight(True, None, "the cluster took it away: The node was low on resource: memory.", True),
        ),
        (status("Failed", "DeadlineExceeded"), [], Sight(True, None, "it took longer than was bought")),
        (status("Failed", "Unheard"), [], Sight(True, None, "the cluster gave it up: Unheard", True)),
    ],
)  # fmt: skip
def test_what_a_cluster_says_of_a_run(job_status, pods, expected):
    assert seen(job_status, pods) == expected
