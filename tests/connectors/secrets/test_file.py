import os
import subprocess
import sys

import pytest
from tests.contracts.secrets import SecretsContract

from foedus.connectors.addresses import BadAddress
from foedus.connectors.secrets.file import MAX_BYTES, FileSecrets
from foedus.ports.secrets import SecretMissing, SecretsUnavailable


@pytest.fixture
def provide(tmp_path):
    def provide(name, value, mode=0o600):
        folder = tmp_path / "secrets"
        folder.mkdir(mode=0o700, exist_ok=True)
        (folder / name).write_bytes(value.encode() if isinstance(value, str) else value)
        (folder / name).chmod(mode)

    return provide


@pytest.fixture
def secrets(tmp_path):
    return FileSecrets.from_url("file:", data=tmp_path)


class TestFileSecrets(SecretsContract):
    @pytest.fixture
    def secrets(self, secrets):
        return secrets

    @pytest.fixture
    def provide(self, provide):
        return provide


def test_a_new_secret_is_for_this_user_alone(secrets, tmp_path):
    secrets.get_or_create("signing-key")

    assert (tmp_path / "secrets").stat().st_mode & 0o777 == 0o700
    assert (tmp_path / "secrets" / "signing-key").stat().st_mode & 0o777 == 0o600
    assert [path.name for path in (tmp_path / "secrets").iterdir()] == ["signing-key"]


def test_processes_that_ask_at_once_get_the_same(tmp_path):
    code = """
import sys, pathlib
from foedus.connectors.secrets.file import FileSecrets
secrets = FileSecrets(pathlib.Path(sys.argv[1]))
sys.stdin.readline()
print(*(secrets.get_or_create(f"key-{i}").reveal() for i in range(50)))
"""
    command = [sys.executable, "-c", code, str(tmp_path)]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    children = [subprocess.Popen(command, **pipes) for _ in range(3)]

    for child in children:
        child.stdin.write("go\n")
        child.stdin.flush()
    said = [child.communicate()[0].split() for child in children]

    assert len(said[0]) == 50
    assert said[0] == said[1] == said[2]


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o604, 0o620, 0o660])
def test_a_secret_that_others_can_reach_is_refused(secrets, provide, mode):
    provide("signing-key", "s3cr3t", mode)

    for get in (secrets.get, secrets.get_or_create):
        with pytest.raises(SecretsUnavailable, match="chmod 600"):
            get("signing-key")


@pytest.mark.parametrize(("text", "value"), [("a\n", "a"), ("a\r\n", "a"), ("a\n\n", "a\n"), (" a ", " a ")])
def test_one_newline_at_the_end_does_not_count(secrets, provide, text, value):
    provide("signing-key", text)

    assert secrets.get("signing-key").reveal() == value


@pytest.mark.parametrize("value", [b"", b"\n", b"\xff\xfe", b"x" * (MAX_BYTES + 1)])
def test_a_file_that_holds_no_secret_is_an_error_that_does_not_show_it(secrets, provide, value):
    provide("signing-key", value)

    with pytest.raises(SecretsUnavailable) as error:
        secrets.get("signing-key")

    assert "xxx" not in str(error.value)


def test_a_folder_in_the_place_of_a_secret_is_an_error(secrets, tmp_path):
    (tmp_path / "secrets" / "signing-key").mkdir(parents=True)

    with pytest.raises(SecretsUnavailable):
        secrets.get("signing-key")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a folder away")
def test_a_folder_of_somebody_else_takes_no_secrets(secrets, tmp_path):
    (tmp_path / "secrets").mkdir()
    os.chown(tmp_path / "secrets", 65534, 65534)

    with pytest.raises(SecretMissing, match="write"):
        secrets.get_or_create("signing-key")


@pytest.mark.parametrize("url", ["file:relative", "file:?mode=0644", "file://host/x"])
def test_an_address_that_means_nothing_is_refused(tmp_path, url):
    with pytest.raises(BadAddress):
        FileSecrets.from_url(url, data=tmp_path)
