"""What every Compute must do."""

import re
import time

import pytest

from foedus.core.errors import Invalid
from foedus.ports.compute import InputFile, Job, Limits, Phase, RunExists, RunMissing

SOON_S = 60
LIMITS = Limits(memory_bytes=1 << 30, seconds=60)
POST = """import os, urllib.request
url = os.environ["NEVERMINED_COORDINATOR_URL"]
print(urllib.request.urlopen(url + "/some/path?a=1", data=b"update").read().decode())
print([v for v in os.environ.values() if "token" in v])
"""


class ComputeContract:
    """A connector's test subclasses it and gives ``compute``; programs are texts for a POSIX shell, in ``IMAGE``."""

    IMAGE = None

    def job(self, script, **fields):
        return Job(**{"id": "a-run", "script": script, "image": self.IMAGE, "limits": LIMITS, **fields})

    @pytest.fixture
    def data(self, tmp_path):
        path = tmp_path / "rows.csv"
        path.write_text("1\n2\n3\n")
        return path

    def run(self, compute, script, name="a-run", **fields):
        compute.start(self.job(script, id=name, **fields))
        return compute.wait(name, SOON_S)

    def test_a_program_reads_its_inputs_and_leaves_outputs(self, compute, data):
        script = (
            'wc -l < "$NEVERMINED_INPUTS_PATH/rows.csv" > "$NEVERMINED_OUTPUTS_PATH/count"; mkdir "$VOLUME/outputs/x"'
        )

        run = self.run(compute, script, inputs=(InputFile("rows.csv", data),))

        assert (run.phase, run.exit_code, run.reason) == (Phase.SUCCEEDED, 0, "")
        assert run.finished_at >= run.started_at
        assert [(output.name, output.bytes) for output in compute.outputs("a-run")] == [("count", 2)]
        with compute.open("a-run", "count") as count:
            assert count.read() == b"3\n"

    def test_it_starts_in_the_folder_of_its_programs(self, compute, data):
        script = '. ./setup.sh; [ "$PWD" -ef "$NEVERMINED_TRANSFORMATIONS_PATH" ] && echo "$WORD $(echo "$GIVEN") $$"'
        data.write_text("WORD=hello")
        given = {"GIVEN": "wo'r\"ld $(HOME) $$"}

        run = self.run(compute, script, programs=(InputFile("setup.sh", data),), environment=given)

        assert run.phase is Phase.SUCCEEDED
        (line,) = compute.log("a-run")
        assert re.fullmatch(r"hello wo'r\"ld \$\(HOME\) \$\$ [0-9]+", line)

    def test_what_fails_says_with_which_status_and_keeps_its_log(self, compute):
        run = self.run(compute, "echo one; echo two >&2; echo three; exit 7")

        assert (run.phase, run.exit_code) == (Phase.FAILED, 7)
        assert "7" in run.reason
        assert list(compute.log("a-run")) == ["one", "two", "three"]
        assert list(compute.log("a-run", after=1, limit=1)) == ["two"]

    def test_starting_twice_is_starting_once(self, compute, data):
        job = self.job("date +%N; sleep 0.2")
        first = compute.start(job)

        again = compute.start(job)
        compute.wait("a-run", SOON_S)
        after = compute.start(job)

        assert first.started_at == again.started_at == after.started_at
        assert after.phase is Phase.SUCCEEDED
        assert len(compute.log("a-run")) == 1
        with pytest.raises(RunExists):
            compute.start(self.job("echo another"))

    def test_waiting_ends_with_the_run_or_with_the_timeout(self, compute):
        compute.start(self.job("sleep 30"))
        began = time.monotonic()

        assert compute.wait("a-run", 0.2).phase is Phase.RUNNING
        stopped = compute.stop("a-run")

        assert time.monotonic() - began < 25
        assert (stopped.phase, stopped.reason) == (Phase.FAILED, "it was stopped")
        assert compute.stop("a-run") == compute.find("a-run") == stopped

    def test_more_time_than_was_bought_is_not_to_be_had(self, compute):
        run = self.run(compute, "sleep 30 & sleep 30", limits=Limits(seconds=1))

        assert run.phase is Phase.FAILED
        assert "1 s" in run.reason

    def test_more_disk_than_was_bought_is_not_to_be_had(self, compute):
        script = 'head -c 60000 /dev/zero > "$VOLUME/outputs/a"; head -c 60000 /dev/zero > "$VOLUME/outputs/b"'

        run = self.run(compute, script, limits=Limits(disk_bytes=100_000, seconds=60))

        assert run.phase is Phase.FAILED
        assert "100000" in run.reason

    def test_a_program_that_goes_on_is_ended_when_it_has_written_too_much(self, compute):
        script = 'for n in 1 2 3; do head -c 60000 /dev/zero > "$VOLUME/outputs/$n"; done; sleep 60'

        run = self.run(compute, script, limits=Limits(disk_bytes=100_000, seconds=60))

        assert run.phase is Phase.FAILED
        assert re.search(r"\b(120|180)000 bytes, and 100000 were bought", run.reason)  # as much as was there in a look

    def test_links_that_a_program_leaves_are_not_followed(self, compute):
        script = 'cd "$VOLUME/outputs"; ln -s /etc/passwd out; ln -s /etc etc; mkfifo pipe; echo 1 > fine'
        self.run(compute, script)

        assert [output.name for output in compute.outputs("a-run")] == ["fine"]
        for name in ("out", "etc/passwd", "pipe", "../run.json", "/etc/passwd", "none", ""):
            with pytest.raises(Invalid), compute.open("a-run", name):
                pass

    def test_runs_that_are_not_there_are_said_to_be_missing(self, compute):
        for ask in (compute.find, compute.log, compute.stop, compute.outputs):
            with pytest.raises(RunMissing):
                ask("none")
        compute.remove("none")

    def test_what_is_removed_is_gone_even_while_it_runs(self, compute):
        compute.start(self.job("sleep 30"))

        compute.remove("a-run")

        with pytest.raises(RunMissing):
            compute.find("a-run")
        assert self.run(compute, "true").phase is Phase.SUCCEEDED
