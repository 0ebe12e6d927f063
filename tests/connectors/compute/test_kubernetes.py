"""Programs as Jobs, asked of a server that answers as a cluster does and runs what it is asked for."""

import json
import shutil
import time
from urllib.parse import quote

import pytest
from tests.contracts.compute import LIMITS, POST, SOON_S, ComputeContract
from tests.servers.contained import door_port
from tests.servers.kubernetes import api_server
from tests.stub_session import serving

from foedus.connectors.addresses import BadAddress
from foedus.connectors.compute.kubernetes.cluster import KubernetesCompute
from foedus.connectors.compute.process import sandbox
from foedus.connectors.run_layout import Layout
from foedus.core.errors import Invalid
from foedus.ports.compute import (
    ComputeUnavailable,
    Image,
    InputFile,
    Job,
    Limits,
    Phase,
    RunExists,
    RunMissing,
    Session,
)
from foedus.ports.secrets import Secret

pytestmark = pytest.mark.skipif(sandbox.bubblewrap() is None, reason="bubblewrap is not installed or may not be used")

IMAGE = Image("registry.example/tools/python:3", "sha256:" + "ab" * 32)


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


def opened(cluster, volume, tmp_path, more=""):
    url = f"kubernetes:?namespace=ns&volume=runs&folder={quote(str(volume))}&config={quote(str(cluster.kubeconfig))}"
    return KubernetesCompute.from_url(url + more, data=tmp_path, allow=["127.0.0.1"])


@pytest.fixture
def compute(cluster, volume, tmp_path):
    compute = opened(cluster, volume, tmp_path)
    yield compute
    compute.close()


class TestKubernetesCompute(ComputeContract):
    IMAGE = IMAGE

    @pytest.fixture
    def compute(self, compute):
        return compute


def test_a_node_that_died_before_it_wrote_anything_down_finds_its_job_again(compute, cluster, monkeypatch):
    job = Job(id="a-run", script="echo ran; sleep 0.2", image=IMAGE, limits=LIMITS)
    with monkeypatch.context() as dying:
        dying.setattr(Layout, "write", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            compute.start(job)
    with pytest.raises(RunMissing):
        compute.find("a-run")

    compute.start(job)

    assert compute.wait("a-run", SOON_S).phase is Phase.SUCCEEDED
    assert list(compute.log("a-run")) == ["ran"]
    assert cluster.asked.count(("POST", "/apis/batch/v1/namespaces/ns/jobs")) == 2
    assert cluster.begun == ["a-run"]


def test_another_server_finds_what_this_one_started(compute, cluster, volume, tmp_path):
    compute.start(Job(id="a-run", script="sleep 0.5; echo done", image=IMAGE, limits=LIMITS))

    other = opened(cluster, volume, tmp_path)

    assert other.wait("a-run", SOON_S).phase is Phase.SUCCEEDED
    assert list(compute.log("a-run")) == ["done"]
    assert compute.find("a-run") == other.find("a-run")
    other.close()


def test_a_job_of_that_name_that_is_not_ours_is_left_alone(compute, cluster):
    compute.start(Job(id="a-run", script="sleep 30", image=IMAGE, limits=LIMITS))
    shutil.rmtree(compute._root / "a-run")

    with pytest.raises(RunExists):
        compute.start(Job(id="a-run", script="echo another", image=IMAGE, limits=LIMITS))


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


def test_a_job_that_somebody_removes_is_an_error_of_ours(compute, cluster):
    compute.start(Job(id="a-run", script="sleep 30", image=IMAGE, limits=LIMITS))

    cluster.delete("jobs", "a-run")
    run = compute.wait("a-run", SOON_S)

    assert (run.phase, run.reason) == (Phase.ERROR, "its container was removed")


def test_an_image_that_cannot_be_had_is_said_while_it_is_waited_for_and_at_the_end(compute):
    image = Image("registry.example/no-such", "sha256:" + "ab" * 32)
    compute.start(Job(id="a-run", script="true", image=image, limits=Limits(seconds=1)))

    assert "ImagePullBackOff" in compute.find("a-run").reason
    run = compute.wait("a-run", SOON_S)

    assert run.phase is Phase.ERROR
    assert "ImagePullBackOff" in run.reason


def test_a_program_reaches_its_session_by_a_door_that_alone_has_the_token(cluster, volume, tmp_path):
    compute = opened(cluster, volume, tmp_path, "&enforced=true&door=" + quote(f"door@{IMAGE.digest}"))
    (tmp_path / "program.py").write_text(POST)
    programs = (InputFile("program.py", tmp_path / "program.py"),)
    with serving() as (url, asked), door_port():
        session = Session(url, Secret("the-token"))
        job = Job(id="a-run", script="python3 program.py", image=IMAGE, programs=programs, session=session)
        compute.start(job)
        made = json.dumps(cluster.objects["jobs"]) + json.dumps(cluster.objects["networkpolicies"])
        run = compute.wait("a-run", SOON_S)

    assert (run.phase, run.open_to, list(compute.log("a-run"))) == (Phase.SUCCEEDED, (), ["fine", "[]"])
    assert asked == [("/some/path?a=1", "Bearer the-token", b"update")]
    assert "the-token" not in made
    assert not any(cluster.objects.values()), "the secret goes, and the policy"
    assert not any(b"the-token" in path.read_bytes() for path in volume.rglob("*") if path.is_file())
    compute.close()


def test_what_this_place_cannot_run_is_refused_before_anything_is_made(compute, cluster):
    session = Session("http://127.0.0.1:9", Secret("t"))
    for fields in ({"image": None}, {"image": Image("UPPER/x y", IMAGE.digest)}, {"id": "ends-"}, {"session": session}):
        with pytest.raises(Invalid):
            compute.start(Job(**{"id": "a-run", "script": "true", "image": IMAGE, **fields}))

    assert not any(cluster.objects.values())


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
