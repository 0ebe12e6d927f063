import os
import shutil
import stat
import tempfile
from pathlib import Path

import pytest

from foedus.connectors import run_outputs
from foedus.connectors.run_layout import NOBODY
from foedus.connectors.run_outputs import filling, more_than, outputs_below, remove_all
from foedus.core.errors import Invalid


@pytest.fixture
def folder():
    """A run's folder, and this process a user who is not above rights."""
    made = Path(tempfile.mkdtemp())
    os.chown(made, NOBODY, NOBODY)
    user = os.geteuid()
    if user == 0:
        os.seteuid(NOBODY)
    yield made / "run"
    os.seteuid(user)
    shutil.rmtree(made)


def test_what_a_program_shut_itself_in_is_counted_found_and_removed(folder):
    shut = folder / "a" / "b"
    shut.mkdir(parents=True)
    (shut / "large").write_bytes(b"x" * 100)
    (folder / "link").symlink_to("/etc", target_is_directory=True)
    shut.chmod(0)
    shut.parent.chmod(0)

    assert more_than(99, folder) == "it left 100 bytes, and 99 were bought"
    assert [output.name for output in outputs_below(folder)] == ["a/b/large"]
    shut.parent.chmod(0)
    remove_all(folder)
    assert not folder.exists()
    remove_all(folder)


def test_what_a_program_has_written_so_far_is_counted_even_in_folders_that_it_closed(tmp_path, monkeypatch):
    (tmp_path / "closed").mkdir()
    (tmp_path / "closed" / "file").write_bytes(bytes(11))
    (tmp_path / "link").symlink_to("/etc/passwd")
    (tmp_path / "closed").chmod(0)

    assert filling(tmp_path, 10) == "it wrote 11 bytes, and 10 were bought"
    assert filling(tmp_path, 11) == ""
    monkeypatch.setattr("foedus.connectors.run_outputs._MAX_ENTRIES", 2)
    assert "more than 2 files" in filling(tmp_path, 11)


@pytest.mark.parametrize("target", ["file", "folder"])
def test_a_folder_that_becomes_a_link_while_it_is_counted_leads_nowhere(folder, monkeypatch, target):
    host = folder.parent / "host"
    host.mkdir()
    (host / "large").write_bytes(bytes(100))
    victim = host / "large" if target == "file" else host
    victim.chmod(0o440 if target == "file" else 0o100)
    rights = victim.stat().st_mode
    (folder / "swapped").mkdir(parents=True)
    held = run_outputs._held

    def swapping(name, *rest):
        if name == "swapped":  # it was a folder when it was listed
            (folder / name).rmdir()
            (folder / name).symlink_to(victim)
        return held(name, *rest)

    monkeypatch.setattr(run_outputs, "_held", swapping)

    assert filling(folder, 99) == ""
    assert (folder / "swapped").is_symlink()
    assert victim.stat().st_mode == rights
    host.chmod(stat.S_IRWXU)


def test_folders_too_deep_to_be_counted_are_what_is_wrong_and_are_removed(folder):
    folder.mkdir()
    handle = os.open(folder, os.O_RDONLY)
    for _ in range(1_100):  # deeper than calls may be
        os.mkdir("a", dir_fd=handle)
        inner = os.open("a", os.O_RDONLY, dir_fd=handle)
        os.close(handle)
        handle = inner
    os.close(handle)

    assert "more than 50 deep" in filling(folder, 1)
    assert "more than 50 deep" in more_than(1, folder)
    with pytest.raises(Invalid, match="more than 50 deep"):
        list(outputs_below(folder))
    remove_all(folder)
    assert not folder.exists()


def test_what_cannot_be_measured_is_what_is_wrong(tmp_path, monkeypatch):
    def shut(_):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "scandir", shut)

    assert filling(tmp_path, 1) == "its outputs could not be measured: Permission denied"


def test_a_folder_that_was_removed_holds_nothing(tmp_path):
    assert filling(tmp_path / "outputs", 0) == ""
    assert list(outputs_below(tmp_path / "outputs")) == []
