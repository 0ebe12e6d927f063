"""Objects of an S3 server."""

import boto3
import pytest
from tests.contracts.sources import CSV, SourceContract

from foedus.connectors.contents import Terms
from foedus.connectors.internet import Guard
from foedus.connectors.sources.s3 import GcsSource, S3OciSource, S3Source
from foedus.core.errors import Invalid


@pytest.fixture
def account(s3_endpoint):
    store = boto3.client("s3", endpoint_url=s3_endpoint, region_name="us-east-1")
    store.create_bucket(Bucket="rows")
    store.put_object(Bucket="rows", Key="2026/d.csv", Body=CSV)
    return {
        "s3accessKey": "test", "s3secretKey": "test", "s3bucket": "rows",
        "s3endpoint": s3_endpoint.replace("127.0.0.1", "localhost"),
    }  # fmt: skip


@pytest.fixture
def source():
    return S3Source(Terms(Guard.allowing(["localhost"])))


class TestS3(SourceContract):
    @pytest.fixture
    def place(self, account):
        return {**account, "path": "2026/d.csv"}

    @pytest.fixture
    def nowhere(self, account):
        return {**account, "path": "none.csv"}

    def test_browsing_goes_folder_by_folder(self, source, account):
        assert source.browse(account).dirs == ("2026/",)
        assert source.browse({**account, "path": "2026/"}).files == ("2026/d.csv",)


def test_an_object_is_written_once_all_of_it_is_there(source, account):
    place = {**account, "path": "out/p.csv"}

    def broken():
        yield b"x,y\n"
        raise Invalid("half-way")

    with pytest.raises(Invalid, match="half-way"):
        source.write(place, broken())
    assert source.browse({**account, "path": "out/"}).files == ()
    source.write(place, iter([b"x,y\n", b"1,2\n"]))
    with source.read(place) as reading:
        assert next(reading.rows).data == [["1", "2"]]


def test_an_endpoint_has_to_be_named_by_the_operator(source):
    place = {"s3bucket": "rows", "path": "d.csv", "s3endpoint": "http://169.254.169.254"}

    with pytest.raises(Invalid, match="FOEDUS_SOURCES_ALLOW"), source.read(place):
        pass


@pytest.mark.parametrize(
    ("kind", "info"),
    [
        (S3Source, {"s3bucket": "evil.test/x", "path": "d"}),
        (S3Source, {"s3bucket": "rows", "path": "d", "s3region": "x.evil.test/"}),
        (S3OciSource, {"s3bucket": "rows", "path": "d", "ocinamespace": "a", "ociregion": "evil.test/#"}),
        (GcsSource, {"gcsbucket": "..", "path": "d"}),
    ],
)
def test_no_word_changes_the_host_that_is_asked(kind, info):
    with pytest.raises(Invalid), kind(Terms()).read(info):
        pass
