"""Addresses that S3 signs, for bodies that go around a function."""

from uuid import uuid4

import boto3
import httpx
import pytest
from tests.contracts.blobs import content

from foedus.connectors.blobs.memory import MemoryBlobs
from foedus.connectors.blobs.s3 import S3Blobs
from foedus.ports.blobs import SignsAddresses


@pytest.fixture
def blobs(s3_endpoint):
    bucket = f"test-{uuid4().hex}"
    client = boto3.client("s3", endpoint_url=s3_endpoint)
    client.create_bucket(Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
    client.close()
    blobs = S3Blobs(bucket, "p", endpoint=s3_endpoint)
    yield blobs
    blobs.close()


@pytest.fixture
def stranger():
    with httpx.Client(trust_env=False) as client:
        yield client


def test_a_stranger_fetches_and_leaves_one_blob(blobs, stranger):
    blobs.put("answers/1", b'{"a": 1}')

    fetched = stranger.get(blobs.download_address("answers/1", content_type="application/json", seconds=60))
    left = stranger.put(
        blobs.upload_address("uploads/ä", size_bytes=5, seconds=60),
        content=b"12345",
        headers={"Content-Type": "application/octet-stream"},
    )

    assert (fetched.json(), fetched.headers["content-type"]) == ({"a": 1}, "application/json")
    assert left.status_code == 200
    assert content(blobs, "uploads/ä") == b"12345"


def test_an_address_is_signed_for_a_size_and_a_time(blobs):
    address = httpx.URL(blobs.upload_address("uploads/1", size_bytes=5, seconds=60))

    assert "content-length" in address.params["X-Amz-SignedHeaders"].split(";")
    assert address.params["X-Amz-Expires"] == "60"


def test_only_some_stores_sign_addresses(blobs):
    assert isinstance(blobs, SignsAddresses)
    assert not isinstance(MemoryBlobs(), SignsAddresses)
