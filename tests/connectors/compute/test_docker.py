"""Programs in containers, asked of a server that speaks an engine's API on a socket and runs what it is asked for."""

import gc
import json
import tempfile
from pathlib import Path

import pytest
from tests.contracts.compute import LIMITS, SOON_S
from tests.contracts.contained import DIGEST, DOOR, IMAGE, ContainedContract
from tests.servers.contained import door_port
from tests.servers.engine import engine_at

from foedus.connectors.addresses import BadAddress
from foedus.connectors.compute.docker.engine import DockerCompute, seen
from foedus.connectors.compute.process import sandbox
from foedus.connectors.contained_runs import Sight
from foedus.core.errors import Invalid
from foedus.ports.compute import ComputeUnavailable, Image, Job, Limits, Phase, RunMissing, Session
from foedus.ports.secrets import Secret

pytestmark = pytest.mark.skipif(sandbox.bubblewrap() is None, reason="bubblewrap is not installed or may not be used")

REFERENCE = f"registry.example/tools/python@{DIGEST}"


@pytest.fixture
def socket():
    with tempfile.TemporaryDirectory() as folder:  # a short path, as sockets have
        yield Path(folder, "engine")


@pytest.fixture
def engine(socket, tmp_path):
    (tmp_path / "engine").mkdir()
    with engine_at(socket, tmp_path / "engine") as engine:
        engine.images |= {REFERENCE, DOOR}
        yield engine


@pytest.fixture
def compute(engine, socket, tmp_path):
    compute = DockerCompute.from_url(f"docker:{socket}?door={DOOR}", data=tmp_path, allow=["127.0.0.1"])
    yield compute
    compute.close()


class TestDockerCompute(ContainedContract):
    @pytest.fixture
    def compute(self, compute):
        return compute

    @pytest.fixture
    def place(self, engine):
        return engine


def told_of(engine, name):
    told = engine.containers[name]["Config"]
    return told, told["HostConfig"]


def test_a_program_has_no_rights_and_no_more_than_was_bought(compute, engine):
    limits = Limits(cpus=1.5, memory_bytes=1 << 30, disk_bytes=1 << 20, seconds=60)
    run = compute.start(Job(id="a-run", script="sleep 30", image=IMAGE, limits=limits))

    assert run.open_to == ()
    told, host = told_of(engine, "foedus-a-run")
    assert told["Image"] == REFERENCE
    assert int(told["User"].partition(":")[0]) > 0
    assert (host["ReadonlyRootfs"], host.get("Privileged", False), host["NetworkMode"]) == (True, False, "none")
    assert (host["CapDrop"], host["SecurityOpt"], host["IpcMode"]) == (["ALL"], ["no-new-privileges"], "private")
    assert (host["NanoCpus"], host["Memory"], host["MemorySwap"]) == (1_500_000_000, 1 << 30, 1 << 30)
    assert host["PidsLimit"] == 512
    assert {m["Target"]: m["ReadOnly"] for m in host["Mounts"]} == {
        "/data/inputs": True, "/data/transformations": True, "/data/outputs": False,
    }  # fmt: skip
    assert all(Path(m["Source"]).is_relative_to(compute._root / "a-run") for m in host["Mounts"])


def test_a_session_is_a_network_that_leads_nowhere_with_a_door_on_it(compute, engine):
    session = Session("http://127.0.0.1:9", Secret("the-token"))
    with door_port():
        run = compute.start(Job(id="a-run", script="sleep 30", image=IMAGE, session=session, limits=LIMITS))

    assert "this machine" in run.open_to[0]
    told, host = told_of(engine, "foedus-a-run")
    door, door_host = told_of(engine, "foedus-a-run-door")
    assert engine.networks["foedus-a-run"]["Internal"] is True
    assert (host["NetworkMode"], host["Dns"]) == ("foedus-a-run", ["127.0.0.1"])
    assert "NEVERMINED_COORDINATOR_URL=http://127.0.0.1:8750" in told["Env"]
    assert door["Cmd"][-2:] == ["127.0.0.0/8", "8750"]
    assert (door_host["NetworkMode"], door_host["CapDrop"], door_host["ReadonlyRootfs"]) == ("bridge", ["ALL"], True)
    assert "the-token" not in json.dumps(engine.containers)


def test_the_end_of_a_run_leaves_the_networks_of_others_alone(compute, engine):
    session = Session("http://127.0.0.1:9", Secret("the-token"))
    with door_port():
        compute.start(Job(id="a-run-too", script="sleep 30", image=IMAGE, session=session, limits=LIMITS))

    compute.remove("a-run")

    assert list(engine.networks) == ["foedus-a-run-too"]


def test_an_image_that_is_not_here_is_fetched_by_its_digest(compute, engine):
    engine.images.clear()
    job = Job(id="a-run", script="true", image=IMAGE, limits=LIMITS)
    with pytest.raises(Invalid, match="manifest unknown"):
        compute.start(job)
    engine.registry.add(REFERENCE)

    compute.start(job)

    assert compute.wait("a-run", SOON_S).phase is Phase.SUCCEEDED


def test_images_may_have_to_be_here(engine, socket, tmp_path):
    engine.images.clear()
    engine.registry.add(REFERENCE)
    compute = DockerCompute.from_url(f"docker:{socket}?pull=false", data=tmp_path)

    with pytest.raises(Invalid, match="not on this machine"):
        compute.start(Job(id="a-run", script="true", image=IMAGE))
    with pytest.raises(Invalid, match="door="):
        compute.start(Job(id="b-run", script="true", image=IMAGE, session=Session("http://1.1.1.1:9", Secret("t"))))

    assert not engine.left()
    compute.close()


def test_an_engine_that_does_not_do_it_is_unavailable(compute, engine):
    job = Job(id="a-run", script="sleep 1", image=IMAGE, limits=LIMITS)
    engine.busy = [(200, {"ApiVersion": "1.45", "Version": "27.0.0"}), (503, {"message": "shutting down"})]
    with pytest.raises(ComputeUnavailable, match="shutting down"):
        compute.start(job)
    with pytest.raises(RunMissing):
        compute.find("a-run")

    compute.start(job)

    assert compute.wait("a-run", SOON_S).phase is Phase.SUCCEEDED


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_an_engine_that_is_not_there_is_unavailable(tmp_path):
    compute = DockerCompute.from_url("docker:/no/such/socket", data=tmp_path)

    with pytest.raises(ComputeUnavailable):
        compute.start(Job(id="a-run", script="true", image=Image("x", DIGEST)))
    gc.collect()  # the client leaves a socket open that did not connect


@pytest.mark.parametrize(
    ("state", "expected"),
    [
        ({"Status": "created"}, Sight(is_over=False)),
        ({"Status": "running", "ExitCode": 0}, Sight(is_over=False)),
        ({"Status": "exited", "ExitCode": 0, "OOMKilled": False}, Sight(True, 0)),
        ({"Status": "exited", "ExitCode": 7}, Sight(True, 7)),
        (
            {"Status": "exited", "ExitCode": 137, "OOMKilled": True},
            Sight(True, 137, "it used more memory than was bought"),
        ),
    ],
)
def test_what_an_engine_says_of_a_container(state, expected):
    assert seen(state) == expected


@pytest.mark.parametrize("url", ["docker://host:2375", "docker:?door=python:3", "docker:?x=1", "docker:?pull=maybe"])
def test_addresses_that_say_something_else_are_refused(url, tmp_path):
    with pytest.raises(BadAddress):
        DockerCompute.from_url(url, data=tmp_path)
