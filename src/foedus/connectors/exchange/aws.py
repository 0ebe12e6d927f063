"""Federations over AWS (extra ``aws``): a FIFO topic of SNS each, and for each node a FIFO queue of SQS.

A message is published on the topic ``{federation}.fifo``, which puts it into every node's queue. What is large lies in
the sender's own bucket, below ``{federation}/{node}/{kind}/``; the last two of a kind stay. A queue holds what came
since it was made, for two weeks; what fails over and over goes to a queue of dead letters beside it.
``told`` is described in ``aws_calls``; ``aws_topic_arn`` and ``aws_topic_region`` come from the invitation.
"""

import json
import re
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cached_property, lru_cache
from typing import Any

from foedus.connectors.aws_calls import MISSING, Account, endpoint_of, regions, translated
from foedus.connectors.aws_contents import Place, Spent, packed, parsed, unpacked
from foedus.connectors.aws_policies import publishing, queue_policy, subscribing
from foedus.connectors.aws_topics import described, exists, permit, subscribe, subscriptions, unsubscribe
from foedus.connectors.contents import Terms
from foedus.core.errors import Invalid, TooLarge
from foedus.core.federation.regions import region_of
from foedus.ports.exchange import (
    MAX_BYTES,
    Delivery,
    ExchangeRefuses,
    FederationTaken,
    Link,
    Member,
    Told,
)

AT_ONCE = 10  # messages, the most that SQS gives
HIDDEN_S = 300  # how long what was taken is hidden from others who take
KEPT_S = 14 * 86_400
ATTEMPTS = 20
LONGEST_WAIT_S = 20
_OWNER = "foedus-node"
_TOPIC = re.compile(r"arn:aws[a-z-]*:sns:([a-z0-9-]+):(\d{12}):([A-Za-z0-9_-]+)\.fifo")
_QUEUE = re.compile(r"arn:aws[a-z-]*:sqs:[a-z0-9-]+:(\d{12}):[A-Za-z0-9_-]+\.fifo")
_CLOSED = frozenset({"InvalidClientTokenId", "UnrecognizedClientException"})  # regions that were not opened
_ACCOUNT = re.compile(r"\d{12}")


class AwsExchange:
    """The topic is the first node's, and everything else each node's own."""

    def __init__(self, terms: Terms) -> None:
        self._terms = terms
        # Clients are made once: that takes as long as several calls. They are safe to share between threads.
        self._accounts = lru_cache(maxsize=64)(lambda told: Account(dict(told), terms.guard))

    def open(self, first: Member) -> Told:
        account, topic = self._account(first)
        with translated():
            tags = [{"Key": _OWNER, "Value": first.node}]
            if not exists(account, topic):
                attributes = {"FifoTopic": "true", "ContentBasedDeduplication": "false"}
                account.sns.create_topic(Name=f"{first.federation}.fifo", Attributes=attributes, Tags=tags)
            if account.sns.list_tags_for_resource(ResourceArn=topic)["Tags"] != tags:
                raise FederationTaken(f"there is a topic {first.federation}.fifo in this account and region already")
            _, queue = _make_queues(account, first, topic)
            subscribe(account, topic, queue)
        return {"aws_topic_arn": topic, "aws_topic_region": first.told["aws_region"]}

    def join(self, member: Member) -> Told:
        account, topic = self._account(member)
        with translated():
            url, arn = _make_queues(account, member, topic)
            return {"aws_id": account.id, "queue_arn": arn, "queue_url": url}

    def admit(self, first: Member, node: str, applicant: Told) -> None:
        """The node's account may publish, and subscribe its one queue."""
        account, topic = self._account(first)
        owner, queue = applicant.get("aws_id", ""), applicant.get("queue_arn", "")
        found = _QUEUE.fullmatch(queue)
        if not _ACCOUNT.fullmatch(owner) or not found or found[1] != owner:
            raise ExchangeRefuses("a node that asks to be let in names an account of AWS and a queue of its own")
        with translated():
            permit(account, topic, {f"publish{node}": publishing(owner), f"subscribe{node}": subscribing(owner, queue)})
            if owner == account.id:  # the queue of another account can only be subscribed by that one
                subscribe(account, topic, queue)

    def expel(self, first: Member, node: str, applicant: Told) -> None:
        account, topic = self._account(first)
        with translated(ignoring=MISSING):
            permit(account, topic, {f"publish{node}": None, f"subscribe{node}": None})
            unsubscribe(account, topic, applicant.get("queue_arn", ""))

    @contextmanager
    def attach(self, member: Member, after: str) -> Iterator[Link]:  # noqa: ARG002 - the queue knows
        link = AwsLink(*self._account(member), member)
        try:
            yield link
        finally:
            link.close()

    def leave(self, member: Member) -> None:
        account, topic = self._account(member)
        with translated():
            url, dead = (_queue_url(account, _queue_name(member, suffix)) for suffix in ("", "-dead"))
            if url is not None:
                with translated(ignoring=MISSING | {"AuthorizationError"}):  # expelled before
                    # Another account's topic does not list its subscriptions, but says this queue's.
                    account.sns.unsubscribe(SubscriptionArn=subscribe(account, topic, _arn(account, url)))
        for each in filter(None, (url, dead)):
            with translated(ignoring=MISSING):
                account.sqs.delete_queue(QueueUrl=each)
        with translated(ignoring=MISSING):
            _delete(account, _keys(account, f"{member.federation}/{member.node}/"))

    def close(self, first: Member) -> None:
        account, topic = self._account(first)
        self.leave(first)
        with translated(ignoring=MISSING):
            if exists(account, topic):
                tags = account.sns.list_tags_for_resource(ResourceArn=topic)["Tags"]
                if tags == [{"Key": _OWNER, "Value": first.node}]:
                    for subscription in subscriptions(account, topic):
                        account.sns.unsubscribe(SubscriptionArn=subscription["SubscriptionArn"])
                    account.sns.delete_topic(TopicArn=topic)

    def inventory(self, told: Told) -> Mapping[str, Any]:
        """Of the region that is told, or of all that the account may use."""
        one = told.get("aws_region")
        with translated():  # are the keys any good?
            _ = Account({**told, "aws_region": one or "us-east-1"}, self._terms.guard).id
        topics, queues = {}, {}
        for region in [region_of(one)] if one else regions("sqs"):
            account = Account({**told, "aws_region": region}, self._terms.guard)
            with translated(ignoring=frozenset() if one else _CLOSED):
                pages = account.sns.get_paginator("list_topics").paginate()
                arns = [each["TopicArn"] for page in pages for each in page.get("Topics", ())]
                topics[region] = [{arn: [described(s) for s in subscriptions(account, arn)]} for arn in arns]
                pages = account.sqs.get_paginator("list_queues").paginate()
                queues[region] = [url for page in pages for url in page.get("QueueUrls", ())]
        return {"topics": topics, "queues": queues}

    def _account(self, member: Member) -> tuple[Account, str]:
        """And the topic, which may be another account's and in another region."""
        endpoint_of(member.told, self._terms.guard)  # it may lead elsewhere by now
        account = self._accounts(tuple(sorted(member.told.items())))
        account.check_bucket()
        topic = member.told.get("aws_topic_arn")
        if not topic:
            with translated():
                return account, f"arn:aws:sns:{account.region}:{account.id}:{member.federation}.fifo"
        found = _TOPIC.fullmatch(topic)
        if not found or found[3] != member.federation:
            raise ExchangeRefuses("aws_topic_arn is not the topic of this federation")
        account.topic_region = region_of(found[1])
        return account, topic


class AwsLink:
    """What was taken and not done with is given back when the link ends."""

    def __init__(self, account: Account, topic: str, member: Member) -> None:
        self._account, self._topic, self._member = account, topic, member
        self._taken: dict[str, str] = {}  # receipts by the position that was told

    def publish(self, kind: str, data: bytes) -> None:
        if len(data) > MAX_BYTES:
            raise TooLarge(f"a message of a federation has at most {MAX_BYTES} bytes")
        member = self._member
        folder = f"{member.federation}/{member.node}/{kind}/"
        unique = uuid.uuid4().hex
        with translated():
            earlier = _keys(self._account, folder)  # now: clocks are set back, and the new one might sort first
            place = Place(self._account.bucket, f"{folder}{time.time_ns():020}-{unique}")
            body = {"v": 1, "node": member.node, "kind": kind, **packed(self._account, member.told, place, data)}
            self._account.sns.publish(
                TopicArn=self._topic, Message=json.dumps(body, separators=(",", ":")),
                MessageGroupId=f"{member.node}.{kind}", MessageDeduplicationId=unique,
            )  # fmt: skip
            # The one before stays: somebody may be about to read it.
            _delete(self._account, earlier[:-1])

    def take(self, *, timeout_s: float) -> Sequence[Delivery]:
        wait, queue = min(LONGEST_WAIT_S, max(0, round(timeout_s))), self._queue
        with translated():
            found = self._account.sqs.receive_message(
                QueueUrl=queue, MaxNumberOfMessages=AT_ONCE, WaitTimeSeconds=wait, VisibilityTimeout=HIDDEN_S,
                AttributeNames=["SentTimestamp"],
            )  # fmt: skip
        deliveries = (self._delivery(message) for message in found.get("Messages", ()))
        return [delivery for delivery in deliveries if delivery is not None]

    def done(self, deliveries: Sequence[Delivery]) -> None:
        for delivery in deliveries:
            receipt = self._taken.pop(delivery.position, None)
            if receipt is not None:
                self._forget(receipt)

    def close(self) -> None:
        with translated(ignoring=MISSING):
            for receipt in self._taken.values():
                self._account.sqs.change_message_visibility(
                    QueueUrl=self._queue, ReceiptHandle=receipt, VisibilityTimeout=0
                )
        self._taken.clear()

    @cached_property
    def _queue(self) -> str:
        """The node's, subscribed: looked up by whoever receives, for most links only publish something."""
        with translated():
            url = _queue_url(self._account, _queue_name(self._member))
            if url is None:
                raise ExchangeRefuses("this node's queue is gone; join the federation anew")
            subscribe(self._account, self._topic, _arn(self._account, url))
            return url

    def _delivery(self, message: Mapping[str, Any]) -> Delivery | None:
        """None for what is spent or is no message; it is taken out of the queue."""
        position = message["MessageId"]
        self._taken[position] = message["ReceiptHandle"]
        try:
            sender, kind, data = _read(self._account, message["Body"])
        except (Invalid, Spent):
            self._forget(self._taken.pop(position))
            return None
        return Delivery(sender, kind, data, position, int(message["Attributes"]["SentTimestamp"]) / 1000)

    def _forget(self, receipt: str) -> None:
        with translated():
            self._account.sqs.delete_message(QueueUrl=self._queue, ReceiptHandle=receipt)


def _read(account: Account, text: str) -> tuple[str, str, bytes]:
    """Sender, kind and content of a message. Raises Invalid, Spent."""
    body = parsed(text)
    sender, kind = body.get("node"), body.get("kind")
    if not isinstance(sender, str) or not isinstance(kind, str):
        raise Invalid("a message has no sender or kind")
    return sender, kind, unpacked(account, body)


def _queue_name(member: Member, suffix: str = "") -> str:
    """At most 80 characters; the node's id alone is nobody else's."""
    return f"{member.federation[:30]}_{member.node}{suffix}.fifo"


def _make_queues(account: Account, member: Member, topic: str) -> tuple[str, str]:
    """The node's queue and that of its dead letters. Returns address and ARN of the first."""
    fifo = {"FifoQueue": "true", "MessageRetentionPeriod": str(KEPT_S)}
    name, dead = _queue_name(member), _queue_name(member, "-dead")
    dead_url = _queue_url(account, dead) or account.sqs.create_queue(QueueName=dead, Attributes=fifo)["QueueUrl"]
    url = _queue_url(account, name) or account.sqs.create_queue(QueueName=name, Attributes=fifo)["QueueUrl"]
    arn, dead_arn = _arn(account, url), _arn(account, dead_url)
    account.sqs.set_queue_attributes(
        QueueUrl=url,
        Attributes={
            "Policy": queue_policy(arn, topic), "VisibilityTimeout": str(HIDDEN_S),
            "RedrivePolicy": json.dumps({"deadLetterTargetArn": dead_arn, "maxReceiveCount": ATTEMPTS}),
        },
    )  # fmt: skip
    return url, arn


def _queue_url(account: Account, name: str) -> str | None:
    with translated(ignoring=MISSING):
        return str(account.sqs.get_queue_url(QueueName=name)["QueueUrl"])
    return None


def _arn(account: Account, url: str) -> str:
    found = account.sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])
    return str(found["Attributes"]["QueueArn"])


def _keys(account: Account, prefix: str) -> list[str]:
    """From the oldest object to the newest; the store tells seconds, and names more."""
    pages = account.s3.get_paginator("list_objects_v2").paginate(Bucket=account.bucket, Prefix=prefix)
    found = [each for page in pages for each in page.get("Contents", ())]
    return [each["Key"] for each in sorted(found, key=lambda each: (each["LastModified"], each["Key"]))]


def _delete(account: Account, keys: Sequence[str]) -> None:
    for key in keys:
        account.s3.delete_object(Bucket=account.bucket, Key=key)
