"""What every Bus must do."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from foedus.core.errors import TooLarge
from foedus.ports.bus import MAX_DATA_BYTES, BadSubject, BusUnavailable, Message

SOON_S = 10.0  # generous: a busy machine is no failure
BAD_SUBJECTS = ["", ".", "a.", ".a", "a..b", "a b", "a.*", "a.>", "ä", "a\n", "a\0", "a/b", "x" * 201, "a" + ".a" * 100]


def drained(subscription, n):
    """The next ``n`` messages, or fewer if they do not come."""
    found = []
    while len(found) < n and (message := subscription.next(SOON_S)):
        found.append(message)
    return found


class BusContract:
    """A connector's test subclasses it and gives ``bus`` and ``other``, closed at the end.

    They are two instances on the same medium, not yet used; in memory, where there is only one, twice the same.
    """

    def test_a_subscriber_gets_what_is_published(self, bus):
        subscription = bus.subscribe("project.7")

        bus.publish("project.7", b"hello")

        assert subscription.next(SOON_S) == Message("project.7", b"hello")
        assert subscription.next(0) is None

    def test_messages_travel_between_instances_both_ways(self, bus, other):
        here, there = bus.subscribe("a"), other.subscribe("a")

        bus.publish("a", b"1")
        first = [here.next(SOON_S), there.next(SOON_S)]
        other.publish("a", b"2")
        second = [here.next(SOON_S), there.next(SOON_S)]

        assert first == [Message("a", b"1")] * 2
        assert second == [Message("a", b"2")] * 2

    def test_a_publisher_need_not_subscribe_and_may_be_there_first(self, bus, other):
        other.publish("a", b"to nobody")
        subscription = bus.subscribe("a")

        other.publish("a", b"now")

        assert subscription.next(SOON_S) == Message("a", b"now")

    def test_a_subscription_gets_everything_below_its_subject_and_nothing_beside_or_above(self, bus, other):
        subscription = bus.subscribe("project.7")

        for subject in ("project", "project.70", "project.7", "other.project.7", "project.7.event", "project.7.a.b"):
            other.publish(subject, subject.encode())
        other.publish("project.7", b"last")

        found = drained(subscription, 4)
        assert [message.data for message in found] == [b"project.7", b"project.7.event", b"project.7.a.b", b"last"]
        assert [message.subject for message in found] == ["project.7", "project.7.event", "project.7.a.b", "project.7"]

    def test_what_was_published_before_is_not_heard(self, bus, other):
        bus.subscribe("x")  # listening already
        other.publish("a", b"before")
        other.publish("x")
        subscription = bus.subscribe("a")

        other.publish("a", b"after")

        found = drained(subscription, 1)
        # A message on its way may still arrive; what counts is that the one after is there.
        assert found[0].data == b"after" or drained(subscription, 1)[0].data == b"after"

    def test_every_subscription_gets_its_own_copy(self, bus):
        subscriptions = [bus.subscribe("a"), bus.subscribe("a"), bus.subscribe("a.b")]

        bus.publish("a.b", b"x")

        assert [subscription.next(SOON_S) for subscription in subscriptions] == [Message("a.b", b"x")] * 3

    def test_messages_of_a_publisher_come_complete_and_in_order(self, bus, other):
        subscription = bus.subscribe("a")

        for i in range(300):
            other.publish("a", str(i).encode())

        assert [int(message.data) for message in drained(subscription, 300)] == list(range(300))

    def test_many_threads_may_publish(self, bus, other):
        subscription = bus.subscribe("a")

        def publish(n):
            for i in range(40):
                (bus if n % 2 else other).publish("a", f"{n} {i}".encode())

        with ThreadPoolExecutor(4) as pool:
            list(pool.map(publish, range(4)))
        found = [tuple(map(int, message.data.split())) for message in drained(subscription, 160)]

        assert sorted(found) == [(n, i) for n in range(4) for i in range(40)]
        for n in range(4):
            assert [i for m, i in found if m == n] == list(range(40))

    def test_many_threads_may_come_and_go(self, bus, other):
        def wait(n):
            subscription = bus.subscribe(f"waiter.{n}")
            other.publish(f"waiter.{n}", b"go")
            message = subscription.next(SOON_S)
            subscription.close()
            return message.data

        with ThreadPoolExecutor(8) as pool:
            assert list(pool.map(wait, range(40))) == [b"go"] * 40

    @pytest.mark.parametrize("data", [b"", bytes(range(256)), b"\n", b" ", b"\0" * MAX_DATA_BYTES])
    def test_data_is_any_bytes_up_to_the_limit(self, bus, other, data):
        subscription = bus.subscribe("a")

        other.publish("a", data)

        assert subscription.next(SOON_S) == Message("a", data)

    def test_the_longest_subject_with_the_most_data_gets_through(self, bus, other):
        subscription = bus.subscribe("x" * 200)

        other.publish("x" * 200, b"\xff" * MAX_DATA_BYTES)

        assert len(subscription.next(SOON_S).data) == MAX_DATA_BYTES

    def test_too_much_data_is_refused(self, bus):
        with pytest.raises(TooLarge):
            bus.publish("a", b"x" * (MAX_DATA_BYTES + 1))

    @pytest.mark.parametrize("subject", BAD_SUBJECTS)
    def test_what_is_no_subject_is_refused(self, bus, subject):
        with pytest.raises(BadSubject):
            bus.publish(subject)
        with pytest.raises(BadSubject):
            bus.subscribe(subject)

    def test_waiting_ends_when_its_time_is_over(self, bus):
        subscription = bus.subscribe("a")
        start = time.monotonic()

        assert subscription.next(0.05) is None
        assert 0.04 < time.monotonic() - start < SOON_S

    def test_a_message_wakes_the_one_who_waits(self, bus, other):
        subscription = bus.subscribe("a")

        with ThreadPoolExecutor(1) as pool:
            waiting = pool.submit(subscription.next, None)
            other.publish("a", b"x")

            assert waiting.result(SOON_S) == Message("a", b"x")

    @pytest.mark.parametrize("what", ["subscription", "bus"])
    def test_closing_wakes_the_one_who_waits(self, bus, what):
        subscription = bus.subscribe("a")

        with ThreadPoolExecutor(1) as pool:
            waiting = pool.submit(subscription.next, None)
            (subscription if what == "subscription" else bus).close()

            assert waiting.result(SOON_S) is None

    def test_a_closed_subscription_hears_nothing_and_others_go_on(self, bus):
        closed, stays = bus.subscribe("a"), bus.subscribe("a")
        bus.publish("a", b"1")
        closed.close()
        closed.close()

        bus.publish("a", b"2")

        assert closed.next(0) is None
        assert [message.data for message in drained(stays, 2)] == [b"1", b"2"]

    def test_a_closed_bus_is_not_available(self, bus):
        bus.publish("a")
        bus.close()
        bus.close()

        with pytest.raises(BusUnavailable):
            bus.publish("a")
        with pytest.raises(BusUnavailable):
            bus.subscribe("a")

    def test_a_bus_has_at_most_one_thread_from_its_first_use_until_it_is_closed(self, bus):
        def threads():
            return [thread for thread in threading.enumerate() if thread.name.startswith("foedus-bus")]

        before = threads()
        subscriptions = [bus.subscribe("a"), bus.subscribe("b")]
        bus.publish("a")
        during = threads()
        bus.close()

        assert before == []
        assert len(during) <= 1
        assert threads() == []
        assert [subscription.next(0) for subscription in subscriptions] == [None, None]
