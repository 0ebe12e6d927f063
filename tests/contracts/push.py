"""What every Push must do."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from foedus.core.errors import Invalid
from foedus.ports.push import PushMessage


def a_message(**changes):
    fields = {"id": "m-1", "kind": "train", "recipients": ["phone-1", "phone-2"], "data": {"round": 3}}
    return PushMessage(**fields | changes)


class PushContract:
    """A connector's test subclasses it and gives ``push`` and ``delivered``.

    ``delivered()`` is a list of what was taken over, each message as its JSON object, oldest first.
    """

    def test_a_message_is_taken_over_with_all_it_says(self, push, delivered):
        push.send(a_message(title="Training", text="Keep it plugged in, größer als \u2028 gedacht", ttl_s=60))

        assert delivered() == [
            {
                "id": "m-1",
                "kind": "train",
                "recipients": ["phone-1", "phone-2"],
                "data": {"round": 3},
                "title": "Training",
                "text": "Keep it plugged in, größer als \u2028 gedacht",
                "ttl_s": 60,
            }
        ]

    def test_messages_keep_their_order(self, push, delivered):
        for i in range(20):
            push.send(a_message(id=f"m-{i}"))

        assert [message["id"] for message in delivered()] == [f"m-{i}" for i in range(20)]

    def test_many_threads_may_send(self, push, delivered):
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(lambda i: push.send(a_message(id=f"m-{i}", text="x" * 10_000)), range(40)))

        assert sorted(message["id"] for message in delivered()) == sorted(f"m-{i}" for i in range(40))

    @pytest.mark.parametrize("bad", [{"x": object()}, {"x": float("nan")}, {"x": b"bytes"}])
    def test_what_is_not_json_is_refused_and_not_sent(self, push, delivered, bad):
        with pytest.raises(Invalid):
            push.send(a_message(data=bad))

        assert delivered() == []

    def test_closing_may_happen_twice(self, push):
        push.send(a_message())

        push.close()
        push.close()
