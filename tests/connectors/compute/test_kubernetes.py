"""Programs as Jobs, asked of a server that answers as a cluster does and runs what it is asked for."""

import json
import time
from urllib.parse import urlencode

import pytest
from tests.contracts.compute import LIMITS, SOON_S
from tests.contracts.contained import DIGEST, DOOR, IMAGE, ContainedContract
from tests.servers.kubernetes import api_server

from foedus.connectors.addresses import BadAddress
from foedus.connectors.compute.kubernetes.cluster import KubernetesCompute
from foedus.connectors.compute.process import sandbox
from foedus.core.errors import Invalid
from foedus.ports.compute import ComputeUnavailable, Image, Job, Limits, Phase, RunMissing, Session
from foedus.ports.secrets import Secret

pytestmark = pytest.mark.skipif(sandbox.bubblewrap() is None, reason="bubblewrap is not installed or may not be used")


@pytest.fixture
def volume(tmp_path):
    (tmp_path / "volume").mkdir()
    return tmp_path / "volume"


@pytest.fixture
def cluster(tmp_path, volume):
    (tmp_path / "cluster").mkdir()
    with api_server(tmp_path / "cluster", {"runs": volume}) as (cluster, kubeconfig):
        cluster.kubeconfig = kubeconfig
        yield cluster


def opened(cluster, volume, tmp_path, **more):
    options = {
        "namespace": "ns",
        "volume": "runs",
        "folder": volume,
        "config": cluster.kubeconfig,
        "door": DOOR,
        **more,
    }
    told = urlencode({name: value for name, value in options.items() if value})
    return KubernetesCompute.from_url(f"kubernetes:?{told}", data=tmp_path, allow=["127.0.0.1"])


@pytest.fixture
def compute(cluster, volume, tmp_path):
    compute = opened(cluster, volume, tmp_path)
    yield compute
    compute.close()


class TestKubernetesCompute(ContainedContract):
    @pytest.fixture
    def compute(self, compute):
        return compute

    @pytest.fixture
    def place(self, cluster):
        return cluster


def test_another_server_finds_what_this_one_started(compute, cluster, volume, tmp_path):
    compute.start(Job(id="a-run", script="sleep 0.5; echo done", image=IMAGE, limits=LIMITS))

    other = opened(cluster, volume, tmp_path)

    assert other.wait("a-run", SOON_S).phase is Phase.SUCCEEDED
    assert list(compute.log("a-run")) == ["done"]
    assert compute.find("a-run") == other.find("a-run")
    other.close()


def test_a_program_whose_pod_is_evicted_begins_again_elsewhere(compute, cluster):
    compute.start(Job(id="a-run", script="echo begun; sleep 0.5; echo done", image=IMAGE, limits=LIMITS))
    while not compute.log("a-run"):
        time.sleep(0.02)

    cluster.evict("a-run")
    run = compute.wait("a-run", SOON_S)

    assert (run.phase, list(compute.log("a-run"))) == (Phase.SUCCEEDED, ["begun", "done"])
    assert cluster.begun == ["a-run", "a-run"]


def test_a_busy_cluster_is_asked_again_and_one_that_is_broken_is_unavailable(compute, cluster):
    job = Job(id="a-run", script="sleep 1", image=IMAGE, limits=LIMITS)
    cluster.busy = [(429, [("Retry-After", "0")])] * 2
    compute.start(job)
    cluster.busy = [(500, [])]

    with pytest.raises(ComputeUnavailable, match="500"):
        compute.find("a-run")

    assert compute.wait("a-run", SOON_S).phase is Phase.SUCCEEDED


def test_a_cluster_that_is_not_there_is_unavailable(cluster, volume, tmp_path):
    away = cluster.kubeconfig.read_text().replace("127.0.0.1:", "127.0.0.1:1/")
    cluster.kubeconfig.write_text(away)
    compute = opened(cluster, volume, tmp_path)

    with pytest.raises(ComputeUnavailable):
        compute.start(Job(id="a-run", script="true", image=IMAGE, limits=LIMITS))

    with pytest.raises(RunMissing):
        compute.find("a-run")
    compute.close()


def test_an_image_that_cannot_be_had_is_said_while_it_is_waited_for_and_at_the_end(compute):
    image = Image("registry.example/no-such", DIGEST)
    compute.start(Job(id="a-run", script="true", image=image, limits=Limits(seconds=1)))

    assert "ImagePullBackOff" in compute.find("a-run").reason
    run = compute.wait("a-run", SOON_S)

    assert run.phase is Phase.ERROR
    assert "ImagePullBackOff" in run.reason


def test_what_the_cluster_is_told_of_a_session_hides_its_token(compute, cluster):
    session = Session("http://127.0.0.1:9", Secret("the-token"))
    compute.start(Job(id="a-run", script="true", image=Image("no-such", DIGEST), session=session))

    assert "the-token" not in json.dumps([cluster.objects["jobs"], cluster.objects["networkpolicies"]])
    assert "the-token" in json.dumps(cluster.objects["secrets"])


def test_without_a_door_no_run_takes_part(cluster, volume, tmp_path):
    compute = opened(cluster, volume, tmp_path, door="")
    session = Session("http://127.0.0.1:9", Secret("t"))

    with pytest.raises(Invalid, match="door="):
        compute.start(Job(id="a-run", script="true", image=IMAGE, session=session))

    assert not cluster.left()
    compute.close()


def test_whether_policies_are_enforced_is_the_operators_to_say(compute, cluster, volume, tmp_path):
    told = opened(cluster, volume, tmp_path, enforced="true")

    assert "policies" in compute.start(Job(id="a", script="true", image=IMAGE, limits=LIMITS)).open_to[0]
    assert told.start(Job(id="b", script="true", image=IMAGE, limits=LIMITS)).open_to == ()
    told.close()


@pytest.mark.parametrize(
    "url",
    [
        "kubernetes:",
        "kubernetes:?volume=runs",
        "kubernetes:?volume=runs&folder=relative",
        "kubernetes://host/?volume=runs&folder=/tmp",
        "kubernetes:?volume=runs&folder=/tmp&door=python:3",
        "kubernetes:?volume=runs&folder=/tmp&config=/no/such/file",
        "kubernetes:?volume=runs&folder=/tmp&token=x",
    ],
)
def test_addresses_that_say_too_little_or_something_else_are_refused(url, tmp_path):
    with pytest.raises(BadAddress):
        KubernetesCompute.from_url(url, data=tmp_path)
