"""Brokers of Kafka: the mock cluster inside librdkafka, which speaks the protocol on real sockets of this machine."""

from contextlib import contextmanager

from confluent_kafka import Producer


class Brokers:
    """``servers``: where they listen. They end with this object."""

    def __init__(self):
        self._producer = Producer({"bootstrap.servers": "mock", "test.mock.num.brokers": 2, "log_level": 0})
        found = self._producer.list_topics(timeout=10).brokers.values()
        self.servers = ",".join(f"{each.host}:{each.port}" for each in found)

    def make(self, topic):
        """A topic of four partitions."""
        self._producer.list_topics(topic, timeout=10)

    def publish(self, topic, *messages, partition=0):
        for message in messages:
            self._producer.produce(topic, message, partition=partition)
        assert self._producer.flush(10) == 0

    def close(self):
        self._producer = None


@contextmanager
def kafka_brokers():
    brokers = Brokers()
    try:
        yield brokers
    finally:
        brokers.close()
