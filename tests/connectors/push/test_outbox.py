import json
import subprocess
import sys

import pytest
from tests.contracts.push import PushContract, a_message

from foedus.connectors.addresses import BadAddress
from foedus.connectors.push.outbox import OutboxPush
from foedus.ports.push import PushUnavailable


def lines(path):
    return [json.loads(line) for line in path.read_bytes().splitlines()] if path.exists() else []


class TestOutboxPush(PushContract):
    @pytest.fixture
    def push(self, tmp_path):
        return OutboxPush.from_url("outbox:", data=tmp_path)

    @pytest.fixture
    def delivered(self, tmp_path):
        return lambda: lines(tmp_path / "outbox" / "push.jsonl")


def test_only_this_user_can_read_the_outbox(tmp_path):
    OutboxPush.from_url("outbox:", data=tmp_path).send(a_message())

    assert (tmp_path / "outbox").stat().st_mode & 0o777 == 0o700
    assert (tmp_path / "outbox" / "push.jsonl").stat().st_mode & 0o777 == 0o600


def test_a_full_file_is_put_aside_and_no_message_is_lost(tmp_path):
    push = OutboxPush(tmp_path / "push.jsonl", rotate_bytes=1000)

    for i in range(30):
        push.send(a_message(id=f"m-{i:02}"))

    files = [*sorted(tmp_path.glob("push.0*.jsonl")), tmp_path / "push.jsonl"]
    assert len(files) > 3
    assert all(file.stat().st_size <= 1000 for file in files)
    assert [message["id"] for file in files for message in lines(file)] == [f"m-{i:02}" for i in range(30)]


def test_two_processes_write_whole_lines_while_files_are_put_aside(tmp_path):
    code = """
import sys, pathlib
from foedus.connectors.push.outbox import OutboxPush
from foedus.ports.push import PushMessage
push = OutboxPush(pathlib.Path(sys.argv[1], "push.jsonl"), rotate_bytes=5000)
for i in range(60):
    push.send(PushMessage(id=f"{sys.argv[2]}-{i}", kind="train", recipients=["x" * i]))
"""
    writers = [subprocess.Popen([sys.executable, "-c", code, str(tmp_path), name]) for name in "ab"]

    codes = [writer.wait() for writer in writers]

    sent = [message["id"] for file in tmp_path.glob("*.jsonl") for message in lines(file)]
    assert codes == [0, 0]
    assert sorted(sent) == sorted(f"{name}-{i}" for name in "ab" for i in range(60))


def test_half_a_line_left_by_a_power_cut_stays_apart(tmp_path):
    path = tmp_path / "push.jsonl"
    path.write_bytes(b'{"id":"hal')

    OutboxPush(path).send(a_message(id="whole"))

    half, whole = path.read_bytes().splitlines()
    assert half == b'{"id":"hal'
    assert json.loads(whole)["id"] == "whole"


def test_a_full_disk_leaves_no_half_line(tmp_path):
    code = """
import resource, sys, pathlib
from foedus.connectors.push.outbox import OutboxPush
from foedus.ports.push import PushMessage, PushUnavailable
resource.setrlimit(resource.RLIMIT_FSIZE, (1500, 1500))  # the closest to a full disk that needs no disk
push = OutboxPush(pathlib.Path(sys.argv[1], "push.jsonl"))
push.send(PushMessage(id="fits", kind="train", recipients=["x" * 900]))
try:
    push.send(PushMessage(id="does not", kind="train", recipients=["x" * 900]))
except PushUnavailable as exc:
    print(exc.context["reason"])
"""

    said = subprocess.run([sys.executable, "-c", code, tmp_path], capture_output=True, text=True, check=True).stdout

    assert said == "File too large\n"
    assert [message["id"] for message in lines(tmp_path / "push.jsonl")] == ["fits"]


def test_a_folder_that_cannot_be_made_is_unavailable(tmp_path):
    (tmp_path / "outbox").write_bytes(b"a file in the place of the folder")

    with pytest.raises(PushUnavailable):
        OutboxPush.from_url("outbox:", data=tmp_path).send(a_message())


@pytest.mark.parametrize("url", ["outbox:/elsewhere", "outbox://host", "outbox:?rotate=1"])
def test_an_address_that_means_nothing_is_refused(tmp_path, url):
    with pytest.raises(BadAddress):
        OutboxPush.from_url(url, data=tmp_path)
