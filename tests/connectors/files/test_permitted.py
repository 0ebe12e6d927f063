"""Where files may be fetched from. Web servers are those of data sources, and tested there."""

import pytest

from foedus.connectors.contents import Terms
from foedus.connectors.files.permitted import PermittedFiles
from foedus.connectors.internet import Private
from foedus.core.errors import Forbidden, Invalid, TooLarge
from foedus.ports.sources import SourceMissing


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "open").mkdir()
    (tmp_path / "open" / "a b.csv").write_bytes(b"12345")
    (tmp_path / "secret").write_bytes(b"x")
    (tmp_path / "open" / "link").symlink_to(tmp_path / "secret")
    return tmp_path / "open"


def content(files, url):
    with files.fetch(url) as fetched:
        return fetched.name, fetched.size, b"".join(fetched.chunks)


def test_a_file_below_the_folder_is_fetched(folder):
    files = PermittedFiles(Terms(folder=folder))

    assert content(files, f"file://{folder}/a%20b.csv") == ("a b.csv", 5, b"12345")


@pytest.mark.parametrize(
    ("url", "error"),
    [
        ("file://{folder}/none", SourceMissing),
        ("file://{folder}/link", Forbidden),
        ("file://{folder}/../secret", Forbidden),
        ("file:///etc/passwd", Forbidden),
        ("file://host/etc/passwd", Invalid),
        ("ftp://host/x", Invalid),
        ("rows.csv", Invalid),
        ("http://127.0.0.1:1/x", Private),
        ("http://user:secret@host/x", Invalid),
    ],
)
def test_nothing_else_is(folder, url, error):
    with pytest.raises(error):
        content(PermittedFiles(Terms(folder=folder)), url.format(folder=folder))


def test_the_operator_says_how_much_and_whether_at_all(folder):
    with pytest.raises(TooLarge):
        content(PermittedFiles(Terms(folder=folder, max_bytes=4)), f"file://{folder}/a%20b.csv")
    with pytest.raises(Forbidden):
        content(PermittedFiles(Terms()), f"file://{folder}/a%20b.csv")
