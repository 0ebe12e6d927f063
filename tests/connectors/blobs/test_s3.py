from concurrent.futures import ThreadPoolExecutor
from uuid import uuid4

import boto3
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.contracts.blobs import BlobsContract, content
from tests.servers.processes import free_port

from foedus.connectors.addresses import BadAddress
from foedus.connectors.blobs.s3 import S3Blobs
from foedus.ports.blobs import MAX_KEY_CHARACTERS, BlobsUnavailable

keys = st.text(st.sampled_from("/._~ab%ß😀"), min_size=1, max_size=8)


@pytest.fixture(scope="module")
def bucket(s3_endpoint):
    name = f"test-{uuid4().hex}"
    client = boto3.client("s3", endpoint_url=s3_endpoint)
    client.create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
    client.close()
    return name


class TestS3Blobs(BlobsContract):
    @pytest.fixture
    def blobs(self, bucket, s3_endpoint, tmp_path):
        blobs = S3Blobs.from_url(f"s3://{bucket}/{uuid4().hex}/prefix/?endpoint={s3_endpoint}", data=tmp_path)
        yield blobs
        blobs.close()


@given(st.lists(keys, unique=True), st.integers(150, 200))
def test_names_keep_the_order_and_the_prefixes_of_keys(some, n_before):
    blobs = S3Blobs("bucket", "p")
    name = {key: blobs._name(key) for key in some}

    assert sorted(some, key=name.get) == sorted(some)
    assert len(set(name.values())) == len(some)
    for key in some:
        for cut in range(len(key)):
            assert name[key].startswith(blobs._name(key[:cut]))
        assert not {"", ".", ".."} & set(name[key].split("/"))


@given(st.text(st.characters(exclude_categories=["C", "Z"]), min_size=1, max_size=MAX_KEY_CHARACTERS))
def test_names_fit_into_what_s3_allows(key):
    assert len(S3Blobs("bucket", "p" * 170)._name(key).encode()) <= 1024


def test_prefixes_of_one_bucket_do_not_see_each_other(bucket, s3_endpoint):
    one, two = (S3Blobs(bucket, prefix, endpoint=s3_endpoint) for prefix in ("one", "one/two"))
    one.put("a", b"1")
    two.put("a", b"2")
    two.put("b", b"2")

    assert [info.key for info in one.list()] == ["a"]
    assert content(one, "a") == b"1"
    one.close()
    two.close()


def test_a_listing_goes_on_after_a_page_of_a_thousand(bucket, s3_endpoint):
    blobs = S3Blobs(bucket, "many", endpoint=s3_endpoint)
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda i: blobs.put(f"{i:04}", b""), range(1005)))

    assert [info.key for info in blobs.list()] == [f"{i:04}" for i in range(1005)]
    blobs.close()


def test_a_missing_bucket_is_not_a_missing_blob(s3_endpoint):
    blobs = S3Blobs("no-such-bucket", endpoint=s3_endpoint)

    for verb in (lambda: blobs.read("a"), lambda: blobs.put("a", b""), lambda: list(blobs.list())):
        with pytest.raises(BlobsUnavailable):
            verb()
    blobs.close()


def test_a_server_that_does_not_answer_is_unavailable(s3_endpoint, tmp_path):
    blobs = S3Blobs("bucket", endpoint=f"http://127.0.0.1:{free_port()}", region="eu-west-1")
    file = tmp_path / "file"
    file.write_bytes(b"x")

    with pytest.raises(BlobsUnavailable):
        blobs.put_file("a", file)
    blobs.close()

    assert file.exists()


@pytest.mark.parametrize(
    "url",
    ["s3:", "s3:///prefix", "s3://me:secret@bucket", "s3://bucket:9000", "s3://bucket?regoin=x", f"s3://b/{'p' * 181}"],
)
def test_an_address_that_means_nothing_is_refused_without_showing_secrets(tmp_path, url):
    with pytest.raises(BadAddress) as error:
        S3Blobs.from_url(url, data=tmp_path)

    assert "secret" not in str(error.value)


def test_an_unknown_option_is_named(tmp_path):
    with pytest.raises(BadAddress, match="regoin"):
        S3Blobs.from_url("s3://bucket?regoin=eu-west-1", data=tmp_path)
