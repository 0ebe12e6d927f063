import json
from contextlib import contextmanager
from types import SimpleNamespace
from uuid import uuid4

import boto3
import pytest
from tests.contracts.exchange import ExchangeContract, taken

from foedus.connectors.aws_calls import Account
from foedus.connectors.aws_contents import Spent, unpacked
from foedus.connectors.contents import Terms
from foedus.connectors.exchange import aws
from foedus.connectors.exchange.aws import AwsExchange
from foedus.connectors.internet import Guard, Private
from foedus.core.errors import Invalid
from foedus.core.federation.regions import region_of
from foedus.ports.exchange import BEGINNING, ExchangeRefuses, ExchangeUnavailable, Member

KEYS = {"aws_access_key": "test", "aws_secret_key": "test", "aws_region": "EU_WEST_1"}
LARGE = b"0123456789abcdef" * 10_000


@pytest.fixture(scope="module")
def bucket(s3_endpoint):
    name = f"test-{uuid4().hex}"
    client = boto3.client("s3", endpoint_url=s3_endpoint)
    client.create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
    client.close()
    return name


@pytest.fixture
def told(bucket, s3_endpoint):
    return {**KEYS, "s3_bucket": bucket, "aws_endpoint": s3_endpoint}


@pytest.fixture
def exchange():
    return AwsExchange(Terms(guard=Guard.allowing(["127.0.0.1"])))


@pytest.fixture
def account(told):
    return Account(told, Guard.allowing(["127.0.0.1"]))


class TestAws(ExchangeContract):
    """The contract over HTTP."""


@contextmanager
def federation(exchange, told, nodes=2):
    first = Member(f"study-{uuid4().hex[:12]}", uuid4().hex, told)
    invited = {**told, **exchange.open(first)}
    others = [Member(first.federation, uuid4().hex, invited) for _ in range(nodes - 1)]
    for other in others:
        exchange.admit(first, other.node, exchange.join(other))
    yield [first, *others]
    for other in others:
        exchange.leave(other)
    exchange.close(first)


def left(account, federation):
    """Everything that an account has of a federation."""
    topics = account.sns.list_topics().get("Topics", ())
    subscriptions = account.sns.list_subscriptions().get("Subscriptions", ())
    queues = account.sqs.list_queues(QueueNamePrefix=federation[:30]).get("QueueUrls", ())
    objects = account.s3.list_objects_v2(Bucket=account.bucket, Prefix=f"{federation}/").get("Contents", ())
    return [
        *(each["TopicArn"] for each in topics if federation in each["TopicArn"]),
        *(each["TopicArn"] for each in subscriptions if federation in each["TopicArn"]), *queues,
        *(each["Key"] for each in objects),
    ]  # fmt: skip


def test_nothing_is_left_behind_when_a_federation_ends(exchange, told, account):
    with federation(exchange, told, 3) as nodes:
        with exchange.attach(nodes[1], BEGINNING) as link:
            link.publish("sync", LARGE)
        found = left(account, nodes[0].federation)
        assert sum("dead" in each for each in found) == 3

    assert left(account, nodes[0].federation) == []


def test_contents_that_were_replaced_are_deleted_but_for_the_last_two(exchange, told, account):
    with federation(exchange, told) as (first, second):
        with exchange.attach(first, BEGINNING) as link:
            for number in range(5):
                link.publish("sync", LARGE + bytes([number]))
            link.publish("heartbeat", b"small ones travel in the message")

        objects = [each for each in left(account, first.federation) if each.startswith(f"{first.federation}/")]
        assert len(objects) == 2
        with exchange.attach(second, BEGINNING) as link:
            found = taken(link, 2)
    assert {each.data[len(LARGE) :] for each in found if each.kind == "sync"} == {b"\x03", b"\x04"}


def test_what_is_published_after_a_clock_was_set_back_stays(exchange, told, account, monkeypatch):
    with federation(exchange, told, 1) as (first,), exchange.attach(first, BEGINNING) as link:
        for at in (9, 8, 7):  # within a second of the store, which then tells them apart by name alone
            monkeypatch.setattr(aws, "time", SimpleNamespace(time_ns=lambda now=at: now))
            link.publish("sync", LARGE)

        objects = [each for each in left(account, first.federation) if each.startswith(f"{first.federation}/")]
        assert len(objects) == 2
        assert any(f"/{7:020}-" in each for each in objects)


def test_an_account_may_publish_and_subscribe_one_queue_and_no_more(exchange, told, account):
    with federation(exchange, told, 1) as (first,):
        node, owner = uuid4().hex, "999999999999"
        queue = f"arn:aws:sqs:eu-west-1:{owner}:study_{node}.fifo"
        topic = exchange.open(first)["aws_topic_arn"]
        policy = lambda: json.loads(account.sns.get_topic_attributes(TopicArn=topic)["Attributes"]["Policy"])  # noqa: E731
        before = policy()["Statement"]

        exchange.admit(first, node, {"aws_id": owner, "queue_arn": queue})
        added = [each for each in policy()["Statement"] if each not in before]
        exchange.expel(first, node, {"aws_id": owner, "queue_arn": queue})

        assert [each["Action"] for each in added] == ["sns:Publish", "sns:Subscribe"]
        assert {each["Principal"]["AWS"] for each in added} == {owner}
        assert added[1]["Condition"]["StringEquals"]["sns:Endpoint"] == queue
        assert policy()["Statement"] == before


@pytest.mark.parametrize(
    "applicant",
    [
        {},
        {"aws_id": "*", "queue_arn": "arn:aws:sqs:eu-west-1:999999999999:q.fifo"},
        {"aws_id": "999999999999", "queue_arn": "arn:aws:sqs:eu-west-1:111111111111:q.fifo"},
        {"aws_id": "999999999999", "queue_arn": "https://example.org/hook"},
    ],
)
def test_an_applicant_that_is_none_is_refused(exchange, told, applicant):
    with federation(exchange, told, 1) as (first,), pytest.raises(ExchangeRefuses):
        exchange.admit(first, uuid4().hex, applicant)


def test_temporary_credentials_of_one_object_do_where_they_are_asked_for(exchange, told, account):
    with federation(exchange, {**told, "aws_share": "sts"}) as (first, second):
        with exchange.attach(first, BEGINNING) as link:
            link.publish("sync", LARGE)
        with exchange.attach(second, BEGINNING) as link:
            assert taken(link, 1)[0].data == LARGE


def test_what_others_put_into_the_queue_is_passed_over(exchange, told, account):
    with federation(exchange, told) as (first, second):
        topic = second.told["aws_topic_arn"]
        lies = [
            "x", "[]", "{}", '{"node":"a","kind":"b"}', '{"node":"a","kind":"b","bytes":1,"sha256":"x","data":"!"}',
            '{"node":"a","kind":"b","bytes":1,"sha256":"x","data":"YQ=="}', "[" * 5000,
        ]  # fmt: skip
        for k, lie in enumerate(lies):
            account.sns.publish(TopicArn=topic, Message=lie, MessageGroupId=str(k), MessageDeduplicationId=str(k))
        with exchange.attach(first, BEGINNING) as link:
            link.publish("sync", b"true")
        with exchange.attach(second, BEGINNING) as link:
            found = taken(link, 1)
            assert [each.data for each in found] == [b"true"]
            link.done(found)
            assert list(link.take(timeout_s=0.1)) == []


@pytest.mark.parametrize(
    "address",
    [
        "http://169.254.169.254/latest/meta-data", "https://example.org/s3.eu-west-1.amazonaws.com",
        "https://s3.eu-west-1.amazonaws.com.example.org/x", "http://bucket.s3.eu-west-1.amazonaws.com/x",
        "https://bucket.s3.eu-west-1.amazonaws.com:8443/x", "file:///etc/passwd", "https://[", "",
    ],
)  # fmt: skip
def test_contents_are_fetched_from_s3_alone(account, address):
    with pytest.raises(Invalid):
        unpacked(account, {"bytes": 1, "sha256": "x", "url": address})


def test_a_content_that_is_gone_is_spent(account, told):
    with pytest.raises(Spent):
        unpacked(account, {"bytes": 1, "sha256": "x", "url": f"{told['aws_endpoint']}/{told['s3_bucket']}/gone"})


def test_an_account_lists_what_it_holds(exchange, told):
    with federation(exchange, told) as (first, _):
        found = exchange.inventory(told)

    (topics,) = (t for t in found["topics"]["eu-west-1"] if first.federation in next(iter(t)))
    assert {each["protocol"] for each in next(iter(topics.values()))} == {"sqs"}
    assert len([url for url in found["queues"]["eu-west-1"] if first.node in url]) == 2


@pytest.mark.parametrize("text", ["us-east-1", "US_EAST_1", " us_east_1 "])
def test_a_region_has_two_spellings(text):
    assert region_of(text) == "us-east-1"


@pytest.mark.parametrize(
    "change",
    [
        {"aws_region": "example.org/"}, {"aws_region": ""}, {"aws_access_key": ""}, {"aws_secret_key": "a b"},
        {"s3_bucket": "../x"}, {"aws_endpoint": "ftp://127.0.0.1"}, {"aws_endpoint": "http://a@127.0.0.1"},
        {"aws_topic_arn": "arn:aws:sns:eu-west-1:123456789012:other.fifo"},
    ],
)  # fmt: skip
def test_what_is_missing_or_none_is_refused(exchange, told, change):
    first = Member("study", uuid4().hex, {**told, **change})

    with pytest.raises(Invalid), exchange.attach(first, BEGINNING) as link:
        link.publish("sync", LARGE)


def test_private_endpoints_are_refused_unless_permitted(told):
    with pytest.raises(Private):
        AwsExchange(Terms()).open(Member("study", uuid4().hex, told))


def test_one_that_does_not_answer_says_so(exchange, told, monkeypatch):
    monkeypatch.setattr("foedus.connectors.aws_calls._CONFIG.retries", {"max_attempts": 0})

    with pytest.raises(ExchangeUnavailable):
        exchange.open(Member("study", uuid4().hex, {**told, "aws_endpoint": "http://127.0.0.1:9"}))


def test_a_bucket_that_is_missing_is_said_before_aws_is_asked(exchange, told):
    with pytest.raises(Invalid, match="s3_bucket"):
        exchange.open(Member("study", uuid4().hex, {**told, "s3_bucket": "", "aws_endpoint": "http://127.0.0.1:9"}))
