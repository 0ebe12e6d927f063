"""A federation's topic: who may use it, and whose queues it fills."""

from collections.abc import Mapping
from typing import Any

from foedus.connectors.aws_calls import MISSING, Account, translated
from foedus.connectors.aws_policies import topic_policy


def exists(account: Account, topic: str) -> bool:
    with translated(ignoring=MISSING):
        account.sns.get_topic_attributes(TopicArn=topic)
        return True
    return False


def permit(account: Account, topic: str, statements: Mapping[str, Any]) -> None:
    text = account.sns.get_topic_attributes(TopicArn=topic)["Attributes"].get("Policy")
    policy = topic_policy(text, topic, statements)
    account.sns.set_topic_attributes(TopicArn=topic, AttributeName="Policy", AttributeValue=policy)


def subscribe(account: Account, topic: str, queue: str) -> str:
    """Once, whatever the number of calls. Messages come as they were published. Returns the subscription's ARN."""
    raw = {"RawMessageDelivery": "true"}
    found = account.sns.subscribe(
        TopicArn=topic, Protocol="sqs", Endpoint=queue, Attributes=raw, ReturnSubscriptionArn=True
    )
    return str(found["SubscriptionArn"])


def subscriptions(account: Account, topic: str) -> list[dict[str, str]]:
    pages = account.sns.get_paginator("list_subscriptions_by_topic").paginate(TopicArn=topic)
    return [each for page in pages for each in page.get("Subscriptions", ())]


def unsubscribe(account: Account, topic: str, queue: str) -> None:
    for subscription in subscriptions(account, topic):
        if subscription["Endpoint"] == queue and subscription["SubscriptionArn"].startswith("arn:"):
            account.sns.unsubscribe(SubscriptionArn=subscription["SubscriptionArn"])


def described(subscription: Mapping[str, str]) -> dict[str, str]:
    return {
        "owner": subscription["Owner"], "protocol": subscription["Protocol"], "endpoint": subscription["Endpoint"],
        "subscription_arn": subscription["SubscriptionArn"],
    }  # fmt: skip
