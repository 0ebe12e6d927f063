"""Blobs of Azure, from a small server and, where it is installed, from Azurite."""

import pytest
from tests.contracts.sources import CSV, SourceContract, taken
from tests.servers.azure import ACCOUNT, KEY, AzuriteMissingError, azurite, small_azure

from foedus.connectors.contents import Terms
from foedus.connectors.internet import Guard
from foedus.connectors.sources.abs import AbsSource
from foedus.core.errors import Invalid
from foedus.ports.sources import SourceMissing, SourceRefuses, SourceUnavailable

LARGE = b"text\n" + b"".join(b"%0500d\n" % number for number in range(10_000))  # more than comes at once
BLOBS = {"2026/d.csv": CSV, "2026/large.csv": LARGE, "a.csv": CSV}


@pytest.fixture(scope="module", params=[small_azure, azurite], ids=["small", "azurite"])
def account(request):
    try:
        with request.param("rows", BLOBS) as address:
            endpoint = address.replace("127.0.0.1", "localhost")
            yield {"azure.account": ACCOUNT, "azure.key": KEY, "azure.container": "rows", "azure.endpoint": endpoint}
    except AzuriteMissingError as exc:
        pytest.skip(str(exc))


@pytest.fixture
def source():
    return AbsSource(Terms(Guard.allowing(["localhost"])))


class TestAbs(SourceContract):
    @pytest.fixture
    def place(self, account):
        return {**account, "path": "2026/d.csv"}

    @pytest.fixture
    def nowhere(self, account):
        return {**account, "path": "none.csv"}

    def test_browsing_goes_folder_by_folder(self, source, account):
        assert source.browse(account).dirs == ("2026/",)
        assert source.browse(account).files == ("a.csv",)
        assert source.browse({**account, "path": "2026/"}).files == ("2026/d.csv", "2026/large.csv")

    def test_large_blobs_come_in_parts(self, source, account):
        _, rows = taken(source, {**account, "path": "2026/large.csv"})

        assert len(rows) == 10_000
        assert int(rows[-1][0]) == 9_999

    def test_a_container_that_is_not_there_is_missing(self, source, account):
        with pytest.raises(SourceMissing), source.read({**account, "azure.container": "none", "path": "a.csv"}):
            pass

    def test_a_wrong_key_is_refused_and_not_repeated(self, source, account):
        wrong = KEY[::-1].lstrip("=") + "=="

        with pytest.raises(SourceRefuses) as caught, source.read({**account, "azure.key": wrong, "path": "a.csv"}):
            pass
        assert wrong not in str(caught.value)


def test_an_endpoint_has_to_be_named_by_the_operator():
    place = {
        "azure.account": ACCOUNT, "azure.container": "rows", "path": "a", "azure.endpoint": "http://169.254.169.254",
    }  # fmt: skip

    with pytest.raises(Invalid, match="FOEDUS_SOURCES_ALLOW"), AbsSource(Terms()).read(place):
        pass


@pytest.mark.parametrize(
    "changed",
    [
        {"azure.account": "evil.test/"}, {"azure.account": "a@evil"}, {"azure.container": "../x"},
        {"azure.container": "a--b"}, {"path": ""}, {"azure.key": "no base64!"}, {"azure.sas": "s", "azure.key": "AA=="},
    ],
)  # fmt: skip
def test_no_word_changes_the_host_that_is_asked(changed):
    place = {"azure.account": "clinic", "azure.container": "rows", "path": "a.csv", **changed}

    with pytest.raises(Invalid), AbsSource(Terms()).read(place):
        pass


def test_a_store_that_is_away_is_unavailable(source):
    place = {
        "azure.account": ACCOUNT, "azure.container": "rows", "path": "a", "azure.endpoint": "http://localhost:1",
    }  # fmt: skip

    with pytest.raises(SourceUnavailable), source.read(place):
        pass
