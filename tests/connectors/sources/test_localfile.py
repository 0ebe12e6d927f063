"""Files below the folder that the operator opened."""

import gzip
import os

import pyarrow as pa
import pytest
from pyarrow import parquet
from tests.contracts.sources import CSV, NAMES, SourceContract, taken

from foedus.connectors.contents import Terms
from foedus.connectors.sources.localfile import LocalfileSource
from foedus.core.errors import Forbidden, Invalid, TooLarge
from foedus.ports.sources import SourceMissing, SourceRefuses, SourceUnavailable


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "open").mkdir()
    (tmp_path / "open" / "d.csv").write_bytes(CSV)
    (tmp_path / "secret.csv").write_bytes(CSV)
    return tmp_path / "open"


@pytest.fixture
def source(folder, tmp_path):
    return LocalfileSource(Terms(folder=folder, scratch=tmp_path))


class TestLocalfile(SourceContract):
    @pytest.fixture
    def place(self):
        return {"path": "d.csv"}

    @pytest.fixture
    def nowhere(self):
        return {"path": "none.csv"}


def test_a_file_is_written_whole_or_not_at_all_and_never_over_another(folder, tmp_path):
    source = LocalfileSource(Terms(folder=folder, folder_is_writable=True, scratch=tmp_path, max_bytes=100))
    (folder / "sub").mkdir()
    (folder / "out").symlink_to(tmp_path)

    source.write({"path": "sub/new.csv"}, iter([b"a,b\n", b"1,2\n"]))

    assert (folder / "sub" / "new.csv").read_bytes() == b"a,b\n1,2\n"
    for path, chunks, error in [
        ("d.csv", [b"x"], SourceRefuses), ("../d.csv", [b"x"], Forbidden), ("out/x.csv", [b"x"], Forbidden),
        ("none/x.csv", [b"x"], SourceMissing), ("", [b"x"], Invalid), ("big.csv", [b"x" * 60] * 2, TooLarge),
    ]:  # fmt: skip
        with pytest.raises((error, SourceMissing)):
            source.write({"path": path}, iter(chunks))
    assert sorted(each.name for each in folder.iterdir()) == ["d.csv", "out", "sub"]
    assert (folder / "d.csv").read_bytes() == CSV


def test_whoever_tries_again_finds_its_own_file_and_no_other(folder, tmp_path):
    source = LocalfileSource(Terms(folder=folder, folder_is_writable=True, scratch=tmp_path))
    source.write({"path": "new.csv"}, iter([b"a\n1\n"]))
    (folder / "link.csv").symlink_to(folder / "new.csv")
    (folder / "sub").mkdir()

    source.write({"path": "new.csv"}, iter([b"a\n", b"1\n"]), again=True)

    for path, again, error in [
        ("new.csv", False, SourceRefuses), ("d.csv", True, SourceRefuses), ("link.csv", True, Forbidden),
        ("sub", True, (SourceRefuses, Forbidden, SourceUnavailable)),
    ]:  # fmt: skip
        with pytest.raises(error):
            source.write({"path": path}, iter([b"a\n1\n"]), again=again)
    assert sorted(each.name for each in folder.iterdir()) == ["d.csv", "link.csv", "new.csv", "sub"]


def test_nothing_is_written_unless_the_operator_says_so(source):
    with pytest.raises(Forbidden, match="FOEDUS_SOURCES_WRITABLE"):
        source.write({"path": "new.csv"}, iter([b"x"]))


@pytest.mark.parametrize("path", ["../secret.csv", "/etc/passwd", "x/../../secret.csv", "link.csv", "out/secret.csv"])
def test_no_path_leads_out_of_the_folder(source, folder, path):
    (folder / "link.csv").symlink_to(folder.parent / "secret.csv")
    (folder / "out").symlink_to(folder.parent)

    with pytest.raises((Forbidden, SourceMissing)), source.read({"path": path}):
        pass


@pytest.mark.parametrize("path", ["", "\0", "pipe", "."])
def test_only_ordinary_files_are_read(source, folder, path):
    os.mkfifo(folder / "pipe")

    with pytest.raises((Forbidden, Invalid)), source.read({"path": path}):
        pass


def test_without_a_folder_nothing_is_read():
    with pytest.raises(Forbidden), LocalfileSource(Terms()).read({"path": "d.csv"}):
        pass


def test_browsing_shows_files_and_folders_and_no_links(source, folder):
    (folder / "2026").mkdir()
    (folder / "link.csv").symlink_to(folder.parent / "secret.csv")

    listing = source.browse({"path": ""})

    assert (listing.files, listing.dirs, listing.marker) == (("d.csv",), ("2026",), "")


def test_every_format_gives_the_same_rows(source, folder):
    columns = {"age": [41.0, 58.0, None], "bmi": [27.5, 31.0, 22.25], "smoker": ["no", "yes", "no"]}
    parquet.write_table(pa.table(columns), folder / "d.parquet")
    rows = [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]
    lines = "".join(f"{row}\n" for row in rows).replace("'", '"').replace("None", "null")
    (folder / "d.jsonl").write_text(lines)
    (folder / "d.jsonl.gz").write_bytes(gzip.compress(lines.encode()))

    found = [taken(source, {"path": name}) for name in ("d.parquet", "d.jsonl", "d.jsonl.gz")]

    assert found[0] == found[1] == found[2]
    assert found[0][0] == NAMES


def test_broken_files_are_told(source, folder):
    (folder / "d.parquet").write_bytes(b"PAR1 nothing PAR1")

    with pytest.raises(Invalid):
        taken(source, {"path": "d.parquet"})
