"""What every Compute that runs images must do beside; a test gives ``place``, the server behind it, as well.

``place`` has ``begun`` (runs whose program was begun, as often as it was), ``lose(run)`` (somebody removes it) and
``left()`` (what it still has of any run).
"""

import shutil
import time

import pytest
from tests.contracts.compute import LIMITS, POST, SOON_S, ComputeContract
from tests.servers.contained import door_port
from tests.stub_session import serving

from foedus.connectors.run_layout import Layout
from foedus.core.errors import Invalid
from foedus.ports.compute import Image, InputFile, Job, Phase, RunExists, RunMissing, Session
from foedus.ports.secrets import Secret

DIGEST = "sha256:" + "ab" * 32
DOOR = f"registry.example/door@{DIGEST}"
IMAGE = Image("registry.example/tools/python:3", DIGEST)


class ContainedContract(ComputeContract):
    IMAGE = IMAGE

    def test_a_node_that_died_before_it_wrote_anything_down_finds_its_run_again(self, compute, place, monkeypatch):
        job = self.job("echo ran; sleep 0.2")
        with monkeypatch.context() as dying:
            dying.setattr(Layout, "write", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
            with pytest.raises(KeyboardInterrupt):
                compute.start(job)
        with pytest.raises(RunMissing):
            compute.find("a-run")

        compute.start(job)

        assert compute.wait("a-run", SOON_S).phase is Phase.SUCCEEDED
        assert list(compute.log("a-run")) == ["ran"]
        assert place.begun == ["a-run"]

    def test_a_run_of_that_name_that_is_not_ours_is_left_alone(self, compute, place):
        compute.start(self.job("sleep 30"))
        shutil.rmtree(compute._root / "a-run")

        with pytest.raises(RunExists):
            compute.start(self.job("echo another"))

        assert place.begun == ["a-run"]

    def test_a_run_that_somebody_removes_is_an_error_of_ours(self, compute, place):
        compute.start(self.job("sleep 30"))

        place.lose("a-run")
        run = compute.wait("a-run", SOON_S)

        assert (run.phase, run.reason) == (Phase.ERROR, "its container was removed")

    def test_a_node_that_died_after_it_ended_a_run_has_kept_its_log(self, compute, place, monkeypatch):
        compute.start(self.job("echo said; sleep 30"))
        until = time.monotonic() + SOON_S
        while not compute.log("a-run") and time.monotonic() < until:
            time.sleep(0.05)
        with monkeypatch.context() as dying:
            dying.setattr(Layout, "write", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
            with pytest.raises(KeyboardInterrupt):
                compute.stop("a-run")

        assert compute.find("a-run").is_over
        assert list(compute.log("a-run")) == ["said"]

    def test_a_program_reaches_its_session_by_a_door_that_alone_has_the_token(self, compute, place, tmp_path):
        (tmp_path / "program.py").write_text(POST)
        programs = (InputFile("program.py", tmp_path / "program.py"),)
        with serving() as (url, asked), door_port():
            compute.start(self.job("python3 program.py", programs=programs, session=Session(url, Secret("the-token"))))
            run = compute.wait("a-run", SOON_S)

        assert (run.phase, list(compute.log("a-run"))) == (Phase.SUCCEEDED, ["fine", "[]"])
        assert asked == [("/some/path?a=1", "Bearer the-token", b"update")]
        assert not place.left()
        assert not any(b"the-token" in path.read_bytes() for path in compute._root.rglob("*") if path.is_file())

    def test_what_cannot_be_run_is_refused_before_anything_is_made(self, compute, place):
        for fields in ({"image": None}, {"image": Image("UPPER/x y", DIGEST)}, {"id": "ends-"}):
            with pytest.raises(Invalid):
                compute.start(Job(**{"id": "a-run", "script": "true", "image": IMAGE, "limits": LIMITS, **fields}))

        assert not place.left()

    def test_inputs_cannot_be_written(self, compute, data):
        script = 'echo 4 >> "$NEVERMINED_INPUTS_PATH/rows.csv" || rm -f "$NEVERMINED_INPUTS_PATH/rows.csv" || exit 9'

        run = self.run(compute, script, inputs=(InputFile("rows.csv", data),))

        assert run.exit_code == 9
        assert data.read_text() == "1\n2\n3\n"
