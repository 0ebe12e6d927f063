"""Topics of librdkafka's mock cluster."""

import logging
from uuid import uuid4

import pytest
from tests.contracts.streams import StreamContract, taken
from tests.servers.kafka import kafka_brokers

from foedus.connectors.contents import Terms
from foedus.connectors.internet import Guard, Private
from foedus.connectors.streams.kafka import KafkaStream
from foedus.core.errors import Invalid
from foedus.ports.sources import SourceRefuses, SourceUnavailable
from foedus.ports.streams import BEGINNING


@pytest.fixture(scope="module")
def brokers():
    with kafka_brokers() as running:
        yield running


@pytest.fixture(autouse=True)
def _quiet(caplog):
    caplog.set_level(logging.CRITICAL, "aiokafka")


@pytest.fixture
def topic(brokers):
    name = f"visits.{uuid4().hex}"
    brokers.make(name)
    return name


@pytest.fixture
def info(brokers, topic):
    return {"bootstrap.servers": brokers.servers, "kafka.topic": topic}


@pytest.fixture
def stream():
    return KafkaStream(Terms(Guard.allowing(["127.0.0.1"])))


class TestKafka(StreamContract):
    @pytest.fixture
    def publish(self, brokers, topic):
        return lambda *messages: brokers.publish(topic, *messages)


def test_partitions_are_taken_together_and_each_goes_on_where_it_was(stream, brokers, topic, info):
    for partition in range(4):
        brokers.publish(topic, *(b"%d-%d" % (partition, number) for number in range(3)), partition=partition)

    found = taken(stream, info, enough=12)

    assert sorted(each.data for each in found) == sorted(b"%d-%d" % (p, n) for p in range(4) for n in range(3))
    for cut in (3, 5, 11):  # whatever the place, what comes after it is the rest
        rest = taken(stream, info, found[cut].position, enough=11 - cut)
        assert sorted(each.data for each in rest) == sorted(each.data for each in found[cut + 1 :])


def test_some_partitions_can_be_left_to_others(stream, brokers, topic, info):
    brokers.publish(topic, b"zero", partition=0)
    brokers.publish(topic, b"two", partition=2)

    found = taken(stream, {**info, "kafka.partitions": "1, 2"}, enough=1)

    assert [each.data for each in found] == [b"two"]
    assert found[0].position == "1:0,2:1"
    with pytest.raises(Invalid, match=r"kafka\.partitions"):
        stream.latest({**info, "kafka.partitions": "9"})


def test_a_topic_that_was_made_anew_is_not_learned_twice(stream, brokers, topic, info):
    brokers.publish(topic, b"a")

    with pytest.raises(SourceRefuses, match="anew"), stream.follow(info, "0:7"):
        pass


def test_a_topic_that_is_not_there_is_refused_and_not_made(stream, info):
    missing = f"none.{uuid4().hex}"

    with pytest.raises(SourceRefuses, match="no topic"):
        stream.latest({**info, "kafka.topic": missing})
    assert missing not in stream.browse(info).files


def test_addresses_that_brokers_tell_are_checked_like_the_first(brokers, info):
    """Here they call themselves by number, which is not permitted; in the wild it is somebody's intranet."""
    stream = KafkaStream(Terms(Guard.allowing(["localhost"])))
    by_name = {**info, "bootstrap.servers": brokers.servers.replace("127.0.0.1", "localhost")}

    with pytest.raises(Private), stream.follow(by_name, BEGINNING):
        pass


@pytest.mark.parametrize("servers", ["127.0.0.1:9092", "169.254.169.254", "[::1]:9092"])
def test_private_brokers_are_refused(info, servers):
    with pytest.raises(Private):
        KafkaStream(Terms()).latest({**info, "bootstrap.servers": servers})


def test_brokers_that_are_away_are_unavailable(stream, info):
    with pytest.raises(SourceUnavailable):
        stream.latest({**info, "bootstrap.servers": "127.0.0.1:1"})


@pytest.mark.parametrize(
    "changed",
    [
        {"bootstrap.servers": ""}, {"bootstrap.servers": "h:x"}, {"bootstrap.servers": "http://h"},
        {"kafka.topic": "a b"}, {"kafka.topic": ".."}, {"security.protocol": "TELNET"},
        {"security.protocol": "SASL_SSL", "sasl.mechanism": "GSSAPI"}, {"kafka.partitions": "one"},
        {"schema.registry.url": "http://registry"},
    ],
)  # fmt: skip
def test_what_is_incomplete_or_odd_is_refused(stream, info, changed):
    with pytest.raises(Invalid):
        stream.latest({**info, **changed})
