"""What every kind of Stream must do."""

from foedus.ports.streams import BEGINNING


def taken(stream, info, after=BEGINNING, *, enough):
    """So many messages, taken by one follower."""
    found = []
    with stream.follow(info, after) as follower:
        while len(found) < enough:
            found += follower.take(timeout_s=5.0)
    return found


class StreamContract:
    """A connector's test subclasses it and gives ``stream``, ``info`` of an empty one, and ``publish(*messages)``."""

    def test_messages_come_in_order_from_the_beginning(self, stream, info, publish):
        publish(*(b"%d" % number for number in range(120)))

        found = taken(stream, info, enough=120)

        assert [message.data for message in found] == [b"%d" % number for number in range(120)]

    def test_it_goes_on_behind_any_position(self, stream, info, publish):
        publish(b"a", b"b", b"c")
        first = taken(stream, info, enough=3)[0]

        assert [message.data for message in taken(stream, info, first.position, enough=2)] == [b"b", b"c"]

    def test_latest_is_behind_what_is_there(self, stream, info, publish):
        publish(b"old")
        latest = stream.latest(info)
        publish(b"new")

        assert [message.data for message in taken(stream, info, latest, enough=1)] == [b"new"]

    def test_nothing_comes_where_nothing_is(self, stream, info):
        with stream.follow(info, stream.latest(info)) as follower:
            assert list(follower.take(timeout_s=0.1)) == []

    def test_browsing_shows_what_can_be_followed(self, stream, info, publish):
        publish(b"a")

        assert any(name in info.values() for name in stream.browse(info).files)
