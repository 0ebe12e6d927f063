"""Files of a real SFTP server."""

import base64
import hashlib
import io
import logging

import pytest
from tests.contracts.sources import CSV, SourceContract, taken
from tests.servers.sftp import PASSWORD, USER, rsa_key, sftp_server, ssh_key

from foedus.connectors.contents import Terms
from foedus.connectors.internet import Guard, Private
from foedus.connectors.sources.sftp import SftpSource
from foedus.core.errors import Invalid, TooLarge
from foedus.ports.sources import SourceRefuses, SourceUnavailable


def line_of(key):
    return f"{key.get_name()} {key.get_base64()}"


def fingerprint_of(key):
    return "SHA256:" + base64.b64encode(hashlib.sha256(key.asbytes()).digest()).decode().rstrip("=")


@pytest.fixture(autouse=True)
def _quiet(caplog):
    caplog.set_level(logging.CRITICAL, "paramiko")


@pytest.fixture
def server(tmp_path):
    (tmp_path / "2026").mkdir()
    (tmp_path / "2026" / "d.csv").write_bytes(CSV)
    with sftp_server(tmp_path) as running:
        yield running


@pytest.fixture
def info(server):
    return {
        "sftphost": server.host, "sftpuser": USER, "sftppasswd": PASSWORD, "path": "/2026/d.csv",
        "sftphostkey": line_of(ssh_key()),
    }  # fmt: skip


@pytest.fixture
def source(tmp_path):
    return SftpSource(Terms(Guard.allowing(["127.0.0.1"]), max_bytes=1 << 20, scratch=tmp_path))


class TestSftp(SourceContract):
    @pytest.fixture
    def place(self, info):
        return info

    @pytest.fixture
    def nowhere(self, info):
        return {**info, "path": "/2026/none.csv"}

    def test_browsing_goes_folder_by_folder(self, source, info):
        assert source.browse({**info, "path": "/"}).dirs == ("2026",)
        assert source.browse({**info, "path": "/2026"}).files == ("d.csv",)


@pytest.mark.parametrize("told", [lambda: fingerprint_of(ssh_key()), lambda: line_of(rsa_key()) + " a comment"])
def test_a_key_is_told_as_a_fingerprint_or_a_line_also_of_the_servers_second(source, info, told):
    assert len(taken(source, {**info, "sftphostkey": told()})[1]) == 3


@pytest.mark.parametrize("told", [lambda: fingerprint_of(ssh_key(1)), lambda: line_of(ssh_key(1)), lambda: "SHA256:"])
def test_a_server_with_another_key_is_refused_before_it_hears_a_password(source, server, info, told):
    with pytest.raises(SourceRefuses, match="sftphostkey") as caught:
        taken(source, {**info, "sftphostkey": told()})

    assert fingerprint_of(ssh_key()) in str(caught.value)
    assert server.sign_ins == 0


@pytest.mark.parametrize("told", ["", "anything else", "ssh-dss AAAA"])
def test_without_a_usable_key_nobody_is_connected(source, info, told):
    with pytest.raises(Invalid, match="sftphostkey"):
        taken(source, {**info, "sftphostkey": told})


def test_people_also_sign_in_by_key(source, info):
    text = io.StringIO()
    ssh_key(9).write_private_key(text)
    by_key = {name: value for name, value in info.items() if name != "sftppasswd"}

    assert len(taken(source, {**by_key, "sftpkey": text.getvalue()})[1]) == 3
    with pytest.raises(Invalid, match="sftpkey"):
        taken(source, {**by_key, "sftpkey": "-----BEGIN NOTHING-----"})


def test_wrong_credentials_are_refused_and_not_repeated(source, info):
    with pytest.raises(SourceRefuses) as caught:
        taken(source, {**info, "sftppasswd": "hush"})

    assert "hush" not in str(caught.value)


def test_private_hosts_are_refused(info):
    with pytest.raises(Private):
        taken(SftpSource(Terms()), info)


def test_a_file_of_many_windows_arrives_whole_and_in_order(info, tmp_path):
    rows = [f"{row:0500d}" for row in range(10_000)]
    (tmp_path / "long.csv").write_text("\n".join(["a", *rows]))
    source = SftpSource(Terms(Guard.allowing(["127.0.0.1"]), max_bytes=8 << 20, scratch=tmp_path))

    assert [row for (row,) in taken(source, {**info, "path": "/long.csv"})[1]] == rows


def test_files_that_are_too_large_and_folders_are_refused(source, info, tmp_path):
    (tmp_path / "large.csv").write_bytes(b"a\n" + b"1\n" * (1 << 20))

    with pytest.raises(TooLarge):
        taken(source, {**info, "path": "/large.csv"})
    with pytest.raises(SourceRefuses):
        taken(source, {**info, "path": "/2026"})


def test_a_server_that_goes_away_is_unavailable(source, info, server):
    server.close()

    with pytest.raises(SourceUnavailable):
        taken(source, info)


@pytest.mark.parametrize("host", ["", "u@h", "h/x", "h:99999", "h:x", "[::1", "a b"])
def test_a_host_that_is_none_is_refused(source, info, host):
    with pytest.raises((Invalid, SourceUnavailable)):
        taken(source, {**info, "sftphost": host})
