"""Federations over a real NATS server: signed in to in every way, over TLS, and killed half-way."""

import threading
from uuid import uuid4

import pytest
from tests.contracts.exchange import ExchangeContract, taken
from tests.servers.nats import NatsMissingError, nats_server
from tests.servers.receiver import certificate_for

from foedus.connectors.contents import Terms
from foedus.connectors.exchange.nats import NatsExchange
from foedus.connectors.internet import Guard, Private
from foedus.core.errors import Invalid
from foedus.ports.exchange import BEGINNING, ExchangeRefuses, ExchangeUnavailable, Member

SEED = "SUAEYZC2L4PJFUUVTTU6IVJKUSPFYZHH4X72IYAXJKRAUXMXGEPJ4ZQPXM"
PUBLIC = "UDQR6HRNSKU4LZ6PRGUGITGYWN7642WCMOFKSVXAGYVWXRBLUBGL2K5A"


@pytest.fixture
def exchange():
    return NatsExchange(Terms(Guard.allowing(["127.0.0.1", "localhost"])))


class TestNats(ExchangeContract):
    @pytest.fixture
    def told(self, nats_url):
        return {"nats_hosts": nats_url}


def first_of(told, name=None):
    return Member(name or f"study-{uuid4().hex[:8]}", uuid4().hex, told)


@pytest.fixture
def serve(tmp_path):
    """Starts servers with options of their own."""
    started = []

    def start(*options, credentials=""):
        running = nats_server(tmp_path / uuid4().hex, *options, credentials=credentials)
        try:
            started.append((running, running.__enter__()))
        except NatsMissingError as exc:
            pytest.skip(str(exc))
        return started[-1][1]

    yield start
    for running, _ in started:
        running.__exit__(None, None, None)


def exchanged(exchange, told):
    """One message from node to node, and nothing left behind."""
    first = first_of(told)
    invited = exchange.open(first)
    second = Member(first.federation, uuid4().hex, invited)
    exchange.admit(first, second.node, exchange.join(second))
    with exchange.attach(first, BEGINNING) as link:
        link.publish("sync", b"rows")
    with exchange.attach(second, BEGINNING) as link:
        (found,) = taken(link, 1)
    exchange.close(first)
    with pytest.raises((ExchangeRefuses, ExchangeUnavailable)):
        exchange.join(second)
    return found.data


def test_user_and_password(exchange, serve):
    server = serve("--user", "u", "--pass", "orchid", credentials="u:orchid@")
    told = {"nats_hosts": server.url.replace("u:orchid@", ""), "nats_sec_user": "u", "nats_sec_password": "orchid"}

    assert exchanged(exchange, told) == b"rows"
    with pytest.raises(ExchangeRefuses) as caught:
        exchange.open(first_of({**told, "nats_sec_password": "wrong"}))
    assert "wrong" not in str(caught.value)


def test_token(exchange, serve):
    server = serve("--auth", "orchid", credentials="orchid@")

    told = {"nats_hosts": server.url.replace("orchid@", ""), "nats_sec_token": "orchid"}
    assert exchanged(exchange, told) == b"rows"


def test_nkey_and_tls(exchange, serve, tmp_path):
    _, public = certificate_for("localhost", tmp_path)
    config = tmp_path / "nats.conf"
    config.write_text(
        f"authorization {{ users = [ {{ nkey: {PUBLIC} }} ] }}\n"
        f'tls {{ cert_file: "{public}", key_file: "{public.with_name("localhost.key")}" }}\n'
    )
    server = serve("-c", str(config))
    told = {
        "nats_hosts": server.url.replace("nats://127.0.0.1", "tls://localhost"), "nats_sec_nkey_seed": SEED,
        "nats_sec_ca": public.read_text(),
    }  # fmt: skip

    assert exchanged(exchange, told) == b"rows"
    with pytest.raises((ExchangeUnavailable, ExchangeRefuses)):
        exchange.open(first_of({**told, "nats_sec_ca": ""}))


def test_a_server_that_is_killed_half_way_and_comes_back(exchange, serve):
    server = serve()
    first = first_of({"nats_hosts": server.url})
    exchange.open(first)
    second = Member(first.federation, uuid4().hex, first.told)
    large = bytes(range(256)) * 6_000
    with exchange.attach(first, BEGINNING) as link:
        link.publish("sync", large)
    with exchange.attach(second, BEGINNING) as link:
        (found,) = taken(link, 1)
        server.stop()
        with pytest.raises(ExchangeUnavailable):
            taken(link, 1)
    with pytest.raises(ExchangeUnavailable), exchange.attach(first, BEGINNING) as link:
        link.publish("sync", b"lost")
    server.start()

    with exchange.attach(second, found.position) as link:
        assert list(link.take(timeout_s=0.1)) == []
        with exchange.attach(first, BEGINNING) as sending:
            sending.publish("sync", large[::-1])
        assert taken(link, 1)[0].data == large[::-1]


def test_what_the_server_keeps_does_not_grow_with_what_is_sent(exchange, serve):
    first = first_of({"nats_hosts": serve().url})
    exchange.open(first)
    with exchange.attach(first, BEGINNING) as link:
        for number in range(20):
            link.publish("sync", bytes([number]) * (600 << 10))
            link.publish("heartbeat", b"x")
    with exchange.attach(first_of(first.told, first.federation), BEGINNING) as link:
        found = taken(link, 2)

    assert sorted(each.kind for each in found) == ["heartbeat", "sync"]


def test_many_publish_at_once(exchange, serve):
    first = first_of({"nats_hosts": serve().url})
    exchange.open(first)
    members = [first_of(first.told, first.federation) for _ in range(4)]

    def publish(member):
        with exchange.attach(member, BEGINNING) as link:
            for number in range(10):
                link.publish("sync", b"%d" % number)

    threads = [threading.Thread(target=publish, args=(member,)) for member in members]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with exchange.attach(first, BEGINNING) as link:
        assert {each.sender for each in taken(link, 4)} == {member.node for member in members}


def test_private_servers_are_refused_unless_permitted():
    with pytest.raises(Private):
        NatsExchange(Terms()).open(first_of({"nats_hosts": "nats://127.0.0.1:4222"}))


@pytest.mark.parametrize("told", [{}, {"nats_hosts": "http://h"}, {"nats_hosts": "h:x"}])
def test_what_is_no_address_is_refused(exchange, told):
    with pytest.raises(Invalid):
        exchange.open(first_of(told))
