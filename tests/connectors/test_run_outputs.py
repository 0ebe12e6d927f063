import os
import shutil
import tempfile
from pathlib import Path

import pytest

from foedus.connectors.run_layout import NOBODY
from foedus.connectors.run_outputs import filling, more_than, outputs_below, remove_all


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

    filling(tmp_path, 10)  # opens it, unless this is root, who looks in at once

    assert filling(tmp_path, 10) == "it wrote 11 bytes, and 10 were bought"
    assert filling(tmp_path, 11) == ""
    monkeypatch.setattr("foedus.connectors.run_outputs._MAX_ENTRIES", 2)
    assert "more than 2 files" in filling(tmp_path, 11)
