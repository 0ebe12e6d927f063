from concurrent.futures import ThreadPoolExecutor

import pytest

from foedus.connectors.subscribers import MAX_WAITING, Subscribers
from foedus.ports.bus import BusUnavailable, Message


def test_a_subscriber_that_does_not_keep_up_loses_the_oldest():
    subscribers = Subscribers()
    inbox = subscribers.open("a")

    for i in range(MAX_WAITING + 50):
        subscribers.deliver(Message("a", str(i).encode()))

    found = [int(inbox.next(0).data) for _ in range(MAX_WAITING)]
    assert found == list(range(50, MAX_WAITING + 50))
    assert inbox.next(0) is None


def test_waking_tells_every_subscription_on_its_own_subject():
    subscribers = Subscribers()
    inboxes = [subscribers.open("a"), subscribers.open("a"), subscribers.open("b.c")]

    subscribers.wake()

    assert [inbox.next(0) for inbox in inboxes] == [Message("a", b""), Message("a", b""), Message("b.c", b"")]


def test_two_threads_share_the_messages_of_one_subscription():
    subscribers = Subscribers()
    inbox = subscribers.open("a")

    with ThreadPoolExecutor(2) as pool:
        takers = [pool.submit(inbox.next, 10) for _ in range(2)]
        subscribers.deliver(Message("a", b"1"))
        subscribers.deliver(Message("a", b"2"))

        assert sorted(taker.result().data for taker in takers) == [b"1", b"2"]


def test_closed_subscriptions_are_forgotten():
    subscribers = Subscribers()
    for _ in range(3):
        subscribers.open("a").close()

    assert subscribers._by_subject == {}


def test_what_is_closed_cannot_be_opened():
    subscribers = Subscribers()
    subscribers.close()

    with pytest.raises(BusUnavailable):
        subscribers.open("a")
