"""Two services with databases and keys of their own, which find each other over AWS alone: moto, over HTTP."""

import json
from contextlib import ExitStack
from uuid import uuid4

import boto3
import pytest
from tests.e2e.service import Serve, until
from tests.e2e.test_federation import Node
from tests.servers.s3 import CREDENTIALS, MotoMissingError, s3_server

from foedus.services.customers.invitations import open_legacy_invitation

REGION = "eu-west-1"


@pytest.fixture
def aws():
    try:
        with s3_server() as endpoint:
            yield endpoint
    except MotoMissingError as exc:
        pytest.skip(str(exc))


def client(service, endpoint):
    keys = {"aws_access_key_id": CREDENTIALS["AWS_ACCESS_KEY_ID"], "aws_secret_access_key": "test"}
    return boto3.client(service, endpoint_url=endpoint, region_name=REGION, **keys)


def pair(node):
    asked = {"values": [{"inputAttributes": [0, 1]}]}
    return node.call("POST", "projects/p/explore?metric=bi&returnProjectInfo=false", asked)


@pytest.mark.slow
@pytest.mark.timeout(400)  # two starts of a service
def test_nodes_federate_over_topic_queues_and_buckets_and_leave_nothing_behind(tmp_path, aws):
    s3, sns, sqs = (client(service, aws) for service in ("s3", "sns", "sqs"))
    bucket = f"test-{uuid4().hex}"
    s3.create_bucket(Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": REGION})
    account = {
        "aws_access_key": "test", "aws_secret_key": "test", "aws_region": "EU_WEST_1", "s3_bucket": bucket,
        "aws_endpoint": aws, "aws_id": "123456789012",
    }  # fmt: skip
    with ExitStack() as stack:
        admin, other = (
            Node(
                stack.enter_context(
                    Serve(tmp_path / name, FOEDUS_SOURCES_ALLOW="127.0.0.1", FOEDUS_FACES="native,symetryml")
                )
            )
            for name in "ab"
        )
        given = {"fed_name": "study", "sync_sched": "m1", "fed_enforce_hipaa_compliance": "false", **account}
        admin.call("POST", "fedml/create?pid=p&persist=true", sealed=given)
        asked = {"passwd": "orchid", "fed_rest_host": admin.service.url}
        text = admin.call("POST", "fedml/p/getInvitation", sealed=asked)["fedInfoEncrypted"]
        invitation = json.loads(open_legacy_invitation("orchid", text))
        joining = {**invitation, "fed_enforce_hipaa_compliance": "false", **account}
        other.call("POST", "fedml/createJoin?pid=p", sealed=joining)
        for seed, each in enumerate((admin, other)):
            each.call("GET", "fedml/p/startPulse")
            each.learn(seed)

        def agreed():
            return admin.rows() == other.rows() == 80 and pair(admin) == pair(other)

        until(agreed, within_s=120, what="both nodes answer from 80 rows")
        job = admin.call("POST", "fedml/p/awsinfo", sealed=account)
        assert job is not None
        assert len(sqs.list_queues()["QueueUrls"]) == 4
        assert len(sns.list_subscriptions()["Subscriptions"]) == 2
        other.call("POST", "fedml/p/leave")
        admin.call("POST", "fedml/p/leave")

        def gone():
            return not (
                sqs.list_queues().get("QueueUrls")
                or sns.list_topics()["Topics"]
                or sns.list_subscriptions()["Subscriptions"]
                or s3.list_objects_v2(Bucket=bucket).get("Contents")
            )

        until(gone, within_s=60, what="nothing is left at AWS")
