"""What every transport of federations must do."""

import threading
import time
from uuid import uuid4

import pytest

from foedus.ports.exchange import BEGINNING, FederationTaken, Member


def taken(link, enough, within_s=20.0):
    """At least so many messages of a link."""
    found, until = [], time.monotonic() + within_s
    while len(found) < enough and time.monotonic() < until:
        found += link.take(timeout_s=1.0)
    assert len(found) >= enough
    return found


def latest(deliveries, node):
    """What came last of each other sender and kind."""
    return {(each.sender, each.kind): each.data for each in deliveries if each.sender != node}


class ExchangeContract:
    """A connector's test subclasses it and gives ``exchange`` and ``told``, what a customer tells of the transport."""

    @pytest.fixture
    def federation(self, exchange, told):
        """A new one, closed in the end."""
        first = Member(f"study-{uuid4().hex[:12]}", uuid4().hex, told)
        self.invited = {**told, **exchange.open(first)}
        yield first
        exchange.close(first)

    @pytest.fixture
    def joined(self, exchange, federation):
        """Makes one more node of the federation."""

        def join():
            member = Member(federation.federation, uuid4().hex, self.invited)
            exchange.admit(federation, member.node, exchange.join(member))
            return member

        return join

    def test_a_message_reaches_every_other_node_byte_for_byte(self, exchange, federation, joined):
        nodes = [federation, joined(), joined()]
        data = bytes(range(256)) * 8
        with exchange.attach(nodes[1], BEGINNING) as link:
            link.publish("sync", data)

        for node in (nodes[0], nodes[2]):
            with exchange.attach(node, BEGINNING) as link:
                found = taken(link, 1)
                assert latest(found, node.node) == {(nodes[1].node, "sync"): data}
                assert all(abs(each.at - time.time()) < 60 for each in found)
                link.done(found)

    def test_a_large_message_arrives_whole(self, exchange, federation, joined):
        second = joined()
        data = b"0123456789abcdef" * 200_000
        with exchange.attach(second, BEGINNING) as receiving, exchange.attach(federation, BEGINNING) as sending:
            sending.publish("sync", data)
            sending.publish("sync", data[::-1])

            found = taken(receiving, 1)
            while latest(found, second.node)[federation.node, "sync"] != data[::-1]:
                found += taken(receiving, 1)

    def test_the_latest_of_each_kind_waits_for_whoever_was_away(self, exchange, federation, joined):
        second = joined()
        with exchange.attach(second, BEGINNING):
            pass
        with exchange.attach(federation, BEGINNING) as link:
            for number in range(5):
                link.publish("sync", b"%d" % number)
            link.publish("heartbeat", b"x")

        with exchange.attach(second, BEGINNING) as link:
            found = taken(link, 2)
            while latest(found, second.node).get((federation.node, "sync")) != b"4":
                found += taken(link, 1)
        assert latest(found, second.node)[federation.node, "heartbeat"] == b"x"

    def test_what_nobody_was_done_with_comes_again(self, exchange, federation, joined):
        second = joined()
        with exchange.attach(federation, BEGINNING) as link:
            link.publish("sync", b"a")
        with exchange.attach(second, BEGINNING) as link:
            taken(link, 1)

        with exchange.attach(second, BEGINNING) as link:
            assert latest(taken(link, 1), second.node) == {(federation.node, "sync"): b"a"}

    def test_a_new_link_goes_on_behind_what_was_done(self, exchange, federation, joined):
        second = joined()
        with exchange.attach(federation, BEGINNING) as link:
            link.publish("sync", b"a")
        with exchange.attach(second, BEGINNING) as link:
            (found,) = taken(link, 1)
            link.done([found])
        with exchange.attach(federation, BEGINNING) as link:
            link.publish("heartbeat", b"b")

        with exchange.attach(second, found.position) as link:
            assert latest(taken(link, 1), second.node) == {(federation.node, "heartbeat"): b"b"}

    def test_whoever_waits_is_woken(self, exchange, federation, joined):
        second = joined()
        with exchange.attach(second, BEGINNING) as waiting:

            def publish():
                with exchange.attach(federation, BEGINNING) as link:
                    link.publish("sync", b"a")

            thread = threading.Thread(target=publish)
            thread.start()
            assert taken(waiting, 1)[0].data == b"a"
            thread.join()

    def test_nothing_comes_where_nothing_is(self, exchange, federation):
        with exchange.attach(federation, BEGINNING) as link:
            assert list(link.take(timeout_s=0.1)) == []

    def test_everything_can_be_done_again(self, exchange, federation):
        assert dict(exchange.open(federation)).items() <= self.invited.items()
        member = Member(federation.federation, uuid4().hex, self.invited)
        for _ in range(2):
            exchange.admit(federation, member.node, exchange.join(member))
        applicant = exchange.join(member)
        for _ in range(2):
            exchange.expel(federation, member.node, applicant)
        exchange.leave(member)
        exchange.leave(member)

    def test_a_name_is_taken_once(self, exchange, federation, told):
        with pytest.raises(FederationTaken):
            exchange.open(Member(federation.federation, uuid4().hex, told))
