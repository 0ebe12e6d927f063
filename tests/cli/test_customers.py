"""Customers on the command line."""

import base64

import pytest
from click.testing import CliRunner
from django.utils import timezone

from foedus import bootstrap
from foedus.cli.main import main
from foedus.records.accounts.models import Organisation
from foedus.server import start

pytestmark = pytest.mark.django_db(transaction=True)

SECRET = "AAECAwQFBgcICQoLDA0ODw=="


@pytest.fixture
def foedus(ports, monkeypatch):
    monkeypatch.setattr(bootstrap, "ports", lambda: ports)
    monkeypatch.setattr(start, "prepare", lambda: None)  # the tests' database is there already
    Organisation.objects.create(name="default", created_at=timezone.now())
    return lambda *arguments, **more: CliRunner().invoke(main, ["customers", *arguments], **more)


def test_a_key_is_printed_once_and_never_listed(foedus):
    added = foedus("add", "c1")

    cid, secret = added.stdout.rstrip("\n").split("\t")
    assert (cid, len(base64.b64decode(secret))) == ("c1", 16)
    assert foedus("list").stdout == "c1\tdefault\tactive\t1\n"


def test_a_key_may_be_chosen_also_where_no_list_of_processes_shows_it(foedus):
    assert foedus("add", "c1", "--secret-key", SECRET).stdout == f"c1\t{SECRET}\n"
    assert foedus("add", "c2", "--secret-key", "-", input=f"{SECRET}\n").stdout == f"c2\t{SECRET}\n"


def test_keys_change_with_an_overlap_and_end_when_told(foedus):
    foedus("add", "c1", "--legacy", "--expires", "3600")

    assert foedus("rotate", "c1", "--overlap", "60").exit_code == 0
    assert foedus("list").stdout == "c1\tdefault\tlegacy\t2\n"
    assert foedus("expire", "c1").stdout == "c1: 2 keys end in 0 s\n"
    assert foedus("list").stdout == "c1\tdefault\tlegacy\t0\n"


def test_a_customer_is_shut_out_and_let_in_again(foedus):
    foedus("add", "c1")

    foedus("disable", "c1")
    assert foedus("list").stdout == "c1\tdefault\tdisabled\t1\n"
    foedus("enable", "c1")
    assert foedus("list").stdout == "c1\tdefault\tactive\t1\n"


@pytest.mark.parametrize(
    "arguments", [["add", "a/b"], ["add", "c1", "--secret-key", "short"], ["rotate", "nobody"], ["disable", "nobody"]]
)
def test_what_cannot_be_is_an_error_of_one_sentence(foedus, arguments):
    refused = foedus(*arguments)

    assert (refused.exit_code, refused.output.startswith("Error: ")) == (1, True)
