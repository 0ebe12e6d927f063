"""The market on the command line, against a server in this process."""

import sys
import tomllib
from pathlib import Path
from types import SimpleNamespace

import httpx
import pytest
from click.testing import CliRunner
from django.core.wsgi import get_wsgi_application
from django.utils import timezone
from tests.markets import ADDRESS

from foedus import bootstrap
from foedus.cli.main import main
from foedus.cli.market import operating, running, trading
from foedus.core.errors import Forbidden
from foedus.core.market.dids import Did
from foedus.core.market.rules import STRICT, Uploads
from foedus.faces.nevermined.limits import MARKET
from foedus.records.market.models import Account, Asset
from foedus.sdk.market import Market, read_key
from foedus.server import start
from foedus.services.market import uploads
from foedus.services.market.catalogue import document_of
from foedus.services.market.files import files_of

pytestmark = pytest.mark.django_db(transaction=True)
DIGEST = "sha256:" + "12" * 32


@pytest.fixture
def foedus(monkeypatch, tmp_path):
    MARKET.configure(0, STRICT)
    transport = httpx.WSGITransport(app=get_wsgi_application())

    def connected(url, key_file=None):
        return Market("http://testserver", read_key(key_file) if key_file else None, transport=transport)

    for commands in (running, trading):
        monkeypatch.setattr(commands, "connected", connected)
    monkeypatch.setattr(start, "prepare", lambda: None)  # the tests' database is there already
    monkeypatch.setattr(operating, "use", lambda data: None)
    monkeypatch.chdir(tmp_path)
    return lambda *arguments: CliRunner().invoke(main, ["market", *arguments])


@pytest.fixture
def parties(foedus):
    return foedus("key", "p.key").stdout.strip(), foedus("key", "c.key").stdout.strip()


@pytest.fixture
def did(foedus, parties):
    _, consumer = parties
    offered = foedus("offer", "Hospital X", "--price", "10", "--share", f"{consumer}=2", "--key", "p.key",
                     "--container", f"example/p:v1@{DIGEST}")  # fmt: skip
    return offered.stdout.strip()


def test_from_an_offer_to_a_statement(foedus, parties, did):
    assert foedus("search", "hospital").stdout == f"{did}\tcompute\t12\tHospital X\n"
    assert foedus("mint", parties[1], "20", "--reference", "start").stdout == "20\n"
    ordered = foedus("order", did, "--key", "c.key").stdout
    agreement = ordered.split()[0]

    assert "waits for the computation to be granted, and is refunded if" in ordered
    assert foedus("accept", agreement, "--key", "c.key").stdout.split()[1] == "released"
    assert foedus("status", "--key", "p.key").stdout == foedus("status", agreement, "--key", "c.key").stdout
    lines = foedus("statement", "--key", "p.key").stdout.splitlines()
    assert lines[0].startswith("10 of 0x")
    assert lines[2].split("\t")[1:] == ["release", "10", agreement]


def test_files_are_sold_bought_and_fetched(foedus, parties, tmp_path, monkeypatch):
    ports, now = bootstrap.ports(), timezone.now()
    address = uploads.keep(ports, Uploads(("a",)), "my rows.csv", [b"1,2"], encrypt=False, now=now).url
    did = foedus(
        "offer", "Rows", "--kind", "access", "--price", "7", "--key", "p.key", "--file", address
    ).stdout.strip()
    foedus("mint", parties[1], "7", "--reference", "start")

    assert foedus("search", "rows", "--kind", "access").stdout == f"{did}\taccess\t7\tRows\n"
    agreement = foedus("order", did, "--key", "c.key").stdout.split()[0]
    refused = foedus("fetch", agreement, "taken", "--key", "p.key")
    fetched = foedus("fetch", agreement, "bought", "--key", "c.key")

    assert (refused.exit_code, Path("taken").exists() and list(Path("taken").iterdir())) == (1, [])
    assert (fetched.stdout, Path("bought/my rows.csv").read_bytes()) == ("bought/my rows.csv\n", b"1,2"), fetched.stderr
    assert foedus("status", agreement, "--key", "c.key").stdout.split()[1] == "released"


def test_files_of_an_offer_are_for_the_node_alone(foedus, parties):
    address = "https://hospital.example/visits.csv"

    did = foedus("offer", "Visits", "--file", address, "--key", "p.key").stdout.strip()

    document = document_of(Asset.objects.get(did=Did.parse(did).hex))
    assert address not in document.raw
    assert [file.url for file in files_of(bootstrap.ports(), document, parties[0])] == [address]


def test_who_is_trusted_may_offer_files_of_the_machine(foedus, parties):
    did = foedus("offer", "Visits", "--file", "file:///rows/visits.csv", "--key", "p.key").stdout.strip()
    document = document_of(Asset.objects.get(did=Did.parse(did).hex))
    with pytest.raises(Forbidden):
        files_of(bootstrap.ports(), document, parties[0])

    assert foedus("trust", parties[0]).stdout.strip() == parties[0]

    assert len(files_of(bootstrap.ports(), document, parties[0])) == 1
    assert not Account.objects.get(address=parties[0]).is_administrator
    assert foedus("trust", parties[0], "--everything").exit_code == 0
    assert Account.objects.get(address=parties[0]).is_administrator
    assert foedus("trust", parties[0], "--no").exit_code == 0
    with pytest.raises(Forbidden, match="market trust"):
        files_of(bootstrap.ports(), document, parties[0])


def test_money_is_not_made_where_no_server_is(tmp_path):
    mint = ["market", "mint", ADDRESS, "1", "--reference", "r", "--data", str(tmp_path / "none")]

    result = CliRunner().invoke(main, mint, env={"FOEDUS_DATA": None, "FOEDUS_DATABASE_URL": None})

    assert (result.exit_code, "name its folder by --data" in result.stderr) == (1, True)
    assert not (tmp_path / "none").exists()


def test_commands_say_which_packages_they_want(foedus, monkeypatch):
    monkeypatch.setitem(sys.modules, "eth_keys", None)

    assert "pip install 'foedus[market]'" in foedus("key", "new.key").stderr


def test_an_order_without_money_goes_on_by_its_seed(foedus, parties, did):
    refused = foedus("order", did, "--key", "c.key")
    seed = refused.stderr.split()[-1]
    foedus("mint", parties[1], "12", "--reference", "start")

    first = foedus("order", did, "--seed", seed, "--key", "c.key").stdout
    assert foedus("order", did, "--seed", seed, "--key", "c.key").stdout == first
    assert foedus("give-up", first.split()[0], "--key", "p.key").stdout.split()[1] == "refunded"


def test_what_goes_wrong_is_said(foedus, parties, did):
    for arguments, words in (
        (["key", "p.key"], "is there already"),
        (["status", "--key", "nowhere"], "make a key by"),
        (["status", "0" * 64, "--key", "c.key"], "no such agreement"),
        (["offer", "x", "--share", "12", "--key", "p.key"], "ADDRESS=AMOUNT"),
        (["offer", "x", "--share", "0x12=3", "--key", "p.key"], "40 hexadecimal digits"),
        (["offer", "x", "--container", "image:latest", "--key", "p.key"], "digest"),
        (["accept", "x", "--key", "c.key"], "64 hexadecimal digits"),
    ):
        result = foedus(*arguments)
        assert (result.exit_code, words in result.stderr) == (1, True), result.stderr


def test_a_key_is_for_its_owner_alone(foedus, parties, tmp_path):
    assert (tmp_path / "p.key").stat().st_mode & 0o777 == 0o600


def test_what_a_program_wrote_moves_nothing_in_the_terminal(foedus, parties, monkeypatch):
    monkeypatch.setattr(Market, "log", lambda self, run: ["\x1b]0;mine\x07\x1b[2J\x9bHhello", "rows"])

    assert foedus("log", "a/b", "--key", "c.key").stdout == "  ]0;mine  [2J Hhello\nrows\n".replace("  ]", " ]")


def test_a_ledger_is_saved_where_no_table_claims_it(foedus, monkeypatch, tmp_path):
    monkeypatch.setattr(bootstrap, "settings", lambda: SimpleNamespace(ledger="", data=tmp_path))
    monkeypatch.setattr(bootstrap, "secrets", lambda: None)
    monkeypatch.setattr("foedus.services.market.node.node_key", lambda secrets: None)
    monkeypatch.setattr("foedus.connectors.ledger.evm.deploying.deploy_at", lambda node, key: "evm:http://n")
    kept = tmp_path / "foedus.toml"
    kept.write_text("port = 9000 # no line ends here\n[mine]\na = 1")
    kept.chmod(0o600)

    assert foedus("deploy", "http://n", "--save").stdout == "evm:http://n\n"

    assert tomllib.loads(kept.read_text()) == {"ledger": "evm:http://n", "port": 9000, "mine": {"a": 1}}
    assert kept.stat().st_mode & 0o777 == 0o600
