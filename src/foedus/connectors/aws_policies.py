"""Who may do what with a federation's topic and queues, and no more: policies of AWS as JSON."""

import json
from collections.abc import Mapping
from typing import Any

Statement = dict[str, Any]


def topic_policy(text: str | None, topic: str, statements: Mapping[str, Statement | None]) -> str:
    """A topic's policy with these statements by their Sid; None takes one away. What others wrote stays."""
    kept = [each for each in json.loads(text)["Statement"] if each.get("Sid") not in statements] if text else []
    added = [{"Sid": sid, "Resource": topic, **each} for sid, each in statements.items() if each]
    return json.dumps({"Version": "2012-10-17", "Statement": kept + added}, separators=(",", ":"))


def publishing(account: str) -> Statement:
    return {"Effect": "Allow", "Principal": {"AWS": account}, "Action": "sns:Publish"}


def subscribing(account: str, queue: str) -> Statement:
    """With this one queue."""
    condition = {"StringEquals": {"sns:Protocol": "sqs", "sns:Endpoint": queue}}
    return {"Effect": "Allow", "Principal": {"AWS": account}, "Action": "sns:Subscribe", "Condition": condition}


def queue_policy(queue: str, topic: str) -> str:
    """The topic may put messages into the queue, and nobody else but the queue's owner."""
    statement = {
        "Sid": "topic", "Effect": "Allow", "Principal": {"Service": "sns.amazonaws.com"}, "Action": "sqs:SendMessage",
        "Resource": queue, "Condition": {"ArnEquals": {"aws:SourceArn": topic}},
    }  # fmt: skip
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]}, separators=(",", ":"))


def object_policy(bucket: str, key: str) -> str:
    """For whoever holds temporary credentials: to read one object."""
    statement = {"Effect": "Allow", "Action": "s3:GetObject", "Resource": f"arn:aws:s3:::{bucket}/{key}"}
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]}, separators=(",", ":"))
