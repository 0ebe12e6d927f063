"""Strangers are told which part does not answer, and nothing else."""

from dataclasses import replace

import pytest
from structlog.testing import capture_logs

from foedus.connectors.blobs.memory import MemoryBlobs
from foedus.ports.blobs import BlobsUnavailable
from foedus.services.shell.readiness import check

pytestmark = pytest.mark.django_db


class Gone(MemoryBlobs):
    def stat(self, key):
        raise BlobsUnavailable("s3://secret-bucket is away", key=key)


class Endless(MemoryBlobs):
    def list(self, prefix=""):
        raise AssertionError("a whole store is looked at")


def test_all_is_well_with_an_empty_store_that_is_not_listed(ports):
    ports = replace(ports, blobs=Endless())

    assert check(ports) == {}


def test_a_part_is_named_and_its_reason_goes_to_the_log(ports):
    ports = replace(ports, blobs=Gone())

    with capture_logs() as lines:
        problems = check(ports)

    assert problems == {"blobs": "unavailable"}
    assert [(line["part"], "secret-bucket" in line["error"]) for line in lines] == [("blobs", True)]
