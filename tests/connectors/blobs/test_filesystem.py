import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from urllib.parse import unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.contracts.blobs import BlobsContract, content

from foedus.connectors.addresses import BadAddress
from foedus.connectors.blobs import filesystem
from foedus.connectors.blobs.filesystem import FilesystemBlobs, quoted
from foedus.ports.blobs import BlobMissing, BlobsUnavailable

MB = 1 << 20


class TestFilesystemBlobs(BlobsContract):
    @pytest.fixture
    def blobs(self, tmp_path):
        return FilesystemBlobs.from_url("file:", data=tmp_path)


class TestFilesystemBlobsThatNobodyNeedsAfterACrash(BlobsContract):
    @pytest.fixture
    def blobs(self, tmp_path):
        return FilesystemBlobs(tmp_path, durable=False)


def python(code, *arguments, **options):
    """Another process with ``blobs`` on the folder that is its first argument."""
    head = "import sys, pathlib\nfrom foedus.connectors.blobs.filesystem import FilesystemBlobs\n"
    head += "blobs = FilesystemBlobs(pathlib.Path(sys.argv[1]))\n"
    command = [sys.executable, "-c", head + code, *map(str, arguments)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, **options)


def staged(root):
    return list((root / "staging").iterdir())


@given(st.text(st.characters(exclude_categories=["Cs"])), st.text(st.characters(exclude_categories=["Cs"])))
def test_names_give_back_their_keys_and_keep_their_prefixes(key, more):
    name = quoted(key)

    assert unquote(name) == key
    assert quoted(key + more).startswith(name)
    assert name == name.lower()
    assert set(name) <= set("abcdefghijklmnopqrstuvwxyz0123456789-_.%")


def test_a_folder_of_ones_own_is_named_by_its_absolute_path(tmp_path):
    FilesystemBlobs.from_url(f"file:{tmp_path}/else where".replace(" ", "%20"), data=tmp_path / "data").put("a", b"x")

    assert (tmp_path / "else where").is_dir()
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize("url", ["file://host/path", "file:relative", "file:?fsync=no", "file:/a#b"])
def test_an_address_that_means_nothing_is_refused(tmp_path, url):
    with pytest.raises(BadAddress):
        FilesystemBlobs.from_url(url, data=tmp_path)


def test_blobs_are_spread_over_folders_and_stay_below_the_root(tmp_path):
    blobs = FilesystemBlobs(tmp_path / "root")
    for i in range(300):
        blobs.put(f"../updates/{i}", b"x")

    sizes = [len(list(folder.iterdir())) for folder in (tmp_path / "root").iterdir() if folder.name != "staging"]

    assert sum(size > 0 for size in sizes) > 140
    assert max(sizes) < 12
    assert list(tmp_path.iterdir()) == [tmp_path / "root"]


@pytest.mark.parametrize("made", [False, True])
def test_only_the_first_blob_of_a_process_waits_for_the_folders(tmp_path, monkeypatch, made):
    blobs = FilesystemBlobs(tmp_path)
    for number in range(256 if made else 0):  # as by a process that was killed before they were durable
        (tmp_path / f"{number:02x}").mkdir()
    synced = []
    fsync = os.fsync
    monkeypatch.setattr(os, "fsync", lambda handle: (synced.append(handle), fsync(handle)))

    waits = []
    for number in range(20):
        blobs.put(f"updates/{number}", b"x")
        waits.append(len(synced) - sum(waits))

    assert waits == [3, *[2] * 19]  # the folders; then the bytes and the name of each


def test_two_processes_write_and_read_the_same_keys(tmp_path):
    blobs = FilesystemBlobs(tmp_path)
    code = """
for _ in range(30):
    blobs.put("shared", sys.argv[2].encode() * (1 << 19))
    data = b"".join(blobs.read("shared"))
    assert data == data[:1] * (1 << 19)
    blobs.put("own/" + sys.argv[2], b"x")
    blobs.delete("own/" + sys.argv[2])
"""

    writers = [python(code, tmp_path, letter) for letter in "ab"]
    codes = [(writer.communicate(), writer.returncode)[1] for writer in writers]

    assert codes == [0, 0]
    assert [info.key for info in blobs.list()] == ["shared"]
    assert content(blobs, "shared") in {b"a" * (1 << 19), b"b" * (1 << 19)}
    assert staged(tmp_path) == []


@pytest.mark.parametrize("wait_s", [0.0, 0.01, 0.03, 0.06])
def test_a_writer_that_is_killed_leaves_a_whole_blob_or_none(tmp_path, wait_s):
    code = """
for i in range(1_000_000):
    blobs.put("a", b"%d" % (i % 10) * (8 << 20))
    if i == 0: print("begun", flush=True)
"""
    writer = python(code, tmp_path)
    writer.stdout.readline()
    time.sleep(wait_s)  # somewhere in the middle
    os.kill(writer.pid, signal.SIGKILL)
    writer.communicate()

    blobs = FilesystemBlobs(tmp_path, stale_after_s=0)

    data = content(blobs, "a")
    assert data == data[:1] * (8 << 20)
    assert [info.key for info in blobs.list()] == ["a"]
    assert staged(tmp_path) == []


def test_clean_up_at_start_spares_what_is_young_or_in_use(tmp_path):
    blobs = FilesystemBlobs(tmp_path)
    blobs.put("a", b"x")
    (tmp_path / "staging" / "left-behind.part").write_bytes(b"half")

    with blobs.local("a") as path:
        FilesystemBlobs(tmp_path)
        young = sorted(file.suffix for file in staged(tmp_path))
        FilesystemBlobs(tmp_path, stale_after_s=0)
        used = staged(tmp_path)
        there = path.read_bytes()
    blobs.close()

    assert young == [".part", ".views"]
    assert (used, there) == ([path.parent], b"x")
    assert staged(tmp_path) == []
    assert content(blobs, "a") == b"x"


def test_what_a_killed_process_had_in_use_is_cleaned_up(tmp_path):
    FilesystemBlobs(tmp_path).put("a", b"x")
    code = """
with blobs.local("a"):
    print("begun", flush=True)
    import time; time.sleep(60)
"""
    reader = python(code, tmp_path)
    reader.stdout.readline()
    os.kill(reader.pid, signal.SIGKILL)
    reader.communicate()

    FilesystemBlobs(tmp_path, stale_after_s=0)

    assert staged(tmp_path) == []


def test_more_blobs_can_be_at_hand_than_files_may_be_open(tmp_path):
    code = """
import contextlib, resource
resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))
for i in range(200): blobs.put(f"u{i}", b"x")
with contextlib.ExitStack() as stack:
    print(len([stack.enter_context(blobs.local(f"u{i}")) for i in range(200)]), flush=True)
"""

    output, _ = python(code, tmp_path).communicate()

    assert output.strip() == "200"


def test_a_full_disk_stores_nothing_and_leaves_nothing(tmp_path):
    blobs = FilesystemBlobs(tmp_path)
    blobs.put("a", b"old")
    (tmp_path / "file").write_bytes(b"y" * (2 * MB))
    os.link(tmp_path / "file", tmp_path / "second-name")  # makes put_file copy
    code = """
import resource
from foedus.ports.blobs import BlobsUnavailable
resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, 1 << 20))  # the closest to a full disk that needs no disk
for put, content in ((blobs.put, b"x" * (2 << 20)), (blobs.put_file, pathlib.Path(sys.argv[1], "file"))):
    try:
        put("a", content)
    except BlobsUnavailable as exc:
        print(exc.context["reason"])
"""

    said = python(code, tmp_path).communicate()[0].splitlines()

    assert said == ["File too large"] * 2
    assert content(blobs, "a") == b"old"
    assert staged(tmp_path) == []
    assert (tmp_path / "file").stat().st_size == 2 * MB


def test_a_folder_that_cannot_be_written_is_unavailable(tmp_path):
    blobs = FilesystemBlobs(tmp_path / "root")
    blobs.put("a", b"x")
    [blob] = (tmp_path / "root").glob("*/a.blob")
    folder = blob.parent
    blob.unlink()
    folder.rmdir()
    folder.write_bytes(b"a file in the place of a folder")

    with pytest.raises(BlobsUnavailable):
        blobs.put("a", b"y")
    with pytest.raises(BlobsUnavailable):
        FilesystemBlobs(folder)

    assert staged(tmp_path / "root") == []


def test_put_file_moves_a_file_and_copies_one_that_others_can_reach(tmp_path):
    blobs = FilesystemBlobs(tmp_path / "root")
    alone, shared, link = tmp_path / "alone", tmp_path / "shared", tmp_path / "link"
    alone.write_bytes(b"alone")
    shared.write_bytes(b"shared")
    (tmp_path / "second-name").hardlink_to(shared)
    (tmp_path / "target").write_bytes(b"linked")
    link.symlink_to(tmp_path / "target")
    inode = alone.stat().st_ino

    for path in (alone, shared, link):
        blobs.put_file(path.name, path)
    (tmp_path / "second-name").write_bytes(b"changed afterwards")
    (tmp_path / "target").write_bytes(b"changed afterwards")

    with blobs.local("alone") as path:
        assert path.stat().st_ino == inode
    assert content(blobs, "shared") == b"shared"
    assert content(blobs, "link") == b"linked"
    assert not {"alone", "shared", "link"} & {path.name for path in tmp_path.iterdir()}


@pytest.mark.skipif(not Path("/dev/shm").is_dir(), reason="there is no second file system to copy from")
def test_put_file_copies_from_another_file_system(tmp_path):
    other = Path(f"/dev/shm/foedus-test-{os.getpid()}")
    other.write_bytes(b"from afar")
    blobs = FilesystemBlobs(tmp_path)

    blobs.put_file("a", other)

    assert content(blobs, "a") == b"from afar"
    assert not other.exists()


def test_files_that_are_no_blobs_do_no_harm(tmp_path):
    blobs = FilesystemBlobs(tmp_path)
    blobs.put("a", b"x")
    for folder in tmp_path.iterdir():
        (folder / "README").write_text("made by hand")

    assert [info.key for info in blobs.list()] == ["a"]
    with pytest.raises(BlobMissing):
        blobs.read("README")


def test_many_that_are_deleted_at_once_wait_for_each_folder_once(tmp_path, monkeypatch):
    keys = [f"update/{number}" for number in range(400)]
    for key in keys:
        FilesystemBlobs(tmp_path, durable=False).put(key, b"x")
    folders = sorted({path.parent for path in tmp_path.glob("*/*.blob")})
    synced = []
    monkeypatch.setattr(filesystem, "sync_folder", synced.append)

    FilesystemBlobs(tmp_path).delete(*keys, "never there")

    assert sorted(synced) == folders
    assert len(folders) < len(keys)
    assert list(FilesystemBlobs(tmp_path).list()) == []


def test_what_nobody_needs_after_a_crash_is_deleted_without_waiting_for_the_disk(tmp_path, monkeypatch):
    blobs = FilesystemBlobs(tmp_path, durable=False)
    blobs.put("a", b"x")
    monkeypatch.setattr(filesystem, "sync_folder", None)

    blobs.delete("a")

    assert list(blobs.list()) == []
