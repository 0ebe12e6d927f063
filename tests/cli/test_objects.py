"""The object store on the command line."""

import pytest
from click.testing import CliRunner

from foedus import bootstrap
from foedus.cli.main import main
from foedus.server import start

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def foedus(ports, monkeypatch):
    monkeypatch.setattr(bootstrap, "ports", lambda: ports)
    monkeypatch.setattr(start, "prepare", lambda: None)  # the tests' database is there already
    return lambda *arguments: CliRunner().invoke(main, ["objects", *map(str, arguments)])


def test_what_is_put_is_listed_and_comes_back_byte_for_byte(foedus, tmp_path):
    file = tmp_path / "zeros.bin"
    file.write_bytes(b"\x00\xff\n\r" * 3)

    stored = foedus("put", "models/CIFAR10_B20.bin", file)

    assert stored.output == "models/CIFAR10_B20.bin: 12 bytes\n"
    assert foedus("list").output == "12\tmodels/CIFAR10_B20.bin\n"
    assert foedus("list", "samples/").output == ""
    assert foedus("get", "models/CIFAR10_B20.bin").stdout_bytes == b"\x00\xff\n\r" * 3
    assert file.exists()


@pytest.mark.parametrize("key", ["models/../x", "elsewhere/x", "projects/1/0/model_weights.bin"])
def test_a_key_that_is_none_is_refused_with_a_sentence(foedus, tmp_path, key):
    (tmp_path / "x").write_bytes(b"x")

    refused = foedus("put", key, tmp_path / "x")

    assert refused.exit_code == 1
    assert refused.output.startswith("Error: ")


def test_an_object_that_is_not_there_is_an_error(foedus):
    missing = foedus("get", "models/none.bin")

    assert (missing.exit_code, "there is no object models/none.bin" in missing.output) == (1, True)
