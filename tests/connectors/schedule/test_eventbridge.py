import json
from itertools import count

import boto3
import pytest
from tests.contracts.schedule import ScheduleContract
from tests.servers.processes import free_port

from foedus.connectors.addresses import BadAddress
from foedus.connectors.schedule.eventbridge import EventBridgeSchedule
from foedus.ports.schedule import ScheduleUnavailable

TARGET = "arn:aws:lambda:eu-central-1:123456789012:function:fma-aggregator"
STAGES = (f"stage{i}" for i in count())


@pytest.fixture
def events(s3_endpoint):
    """EventBridge of the same server that plays S3, in the target's region."""
    client = boto3.client("events", endpoint_url=s3_endpoint, region_name="eu-central-1")
    yield client
    client.close()


@pytest.fixture
def stage():
    return next(STAGES)


@pytest.fixture
def schedule(s3_endpoint, stage, tmp_path):
    return EventBridgeSchedule.from_url(
        f"eventbridge:?target={TARGET}&stage={stage}&tags=team%3Da%20b,cost%3D7&endpoint={s3_endpoint}", data=tmp_path
    )


class TestEventBridgeSchedule(ScheduleContract):
    @pytest.fixture
    def schedule(self, schedule):
        return schedule

    @pytest.fixture
    def entries(self, events, stage):
        def entries():
            rules = events.list_rules(NamePrefix="fma-scheduled-model-")["Rules"]
            mine = [rule for rule in rules if rule["Name"].endswith(f"-{stage}")]
            return {int(rule["Name"].split("-")[3]): rule["State"] == "ENABLED" for rule in mine}

        return entries


def test_a_rule_calls_the_function_each_minute_for_its_model(schedule, events, stage):
    schedule.keep(3, active=True)

    rule = events.describe_rule(Name=f"fma-scheduled-model-3-{stage}")
    (target,) = events.list_targets_by_rule(Rule=rule["Name"])["Targets"]
    assert rule["ScheduleExpression"] == "rate(1 minute)"
    assert (target["Id"], target["Arn"]) == ("model-3", TARGET)
    assert json.loads(target["Input"]) == {"detail": {"model_id": 3}}


def test_a_rule_carries_the_tags(schedule, events, stage):
    schedule.keep(3, active=True)

    arn = events.describe_rule(Name=f"fma-scheduled-model-3-{stage}")["Arn"]
    assert events.list_tags_for_resource(ResourceARN=arn)["Tags"] == [
        {"Key": "team", "Value": "a b"},
        {"Key": "cost", "Value": "7"},
    ]


def test_a_service_that_is_away_is_unavailable(tmp_path):
    url = f"eventbridge:?target={TARGET}&endpoint=http://127.0.0.1:{free_port()}"
    schedule = EventBridgeSchedule.from_url(url, data=tmp_path)

    for call in (lambda: schedule.keep(3, active=True), lambda: schedule.drop(3)):
        with pytest.raises(ScheduleUnavailable):
            call()


@pytest.mark.parametrize(
    "url",
    [
        "eventbridge:",
        "eventbridge:?target=fma-aggregator",
        f"eventbridge:?target={TARGET}&stage=a%20b",
        f"eventbridge:?target={TARGET}&stage=",
        f"eventbridge:?target={TARGET}&tags=team",
        f"eventbridge:?target={TARGET}&colour=red",
        f"eventbridge://bus?target={TARGET}",
    ],
)
def test_an_address_that_means_nothing_is_refused(tmp_path, url):
    with pytest.raises(BadAddress):
        EventBridgeSchedule.from_url(url, data=tmp_path)
