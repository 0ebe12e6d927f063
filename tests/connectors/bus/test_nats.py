import time

import nkeys
import pytest
from tests.contracts.bus import BusContract
from tests.servers.nats import NatsMissingError, nats_server
from tests.servers.processes import free_port

from foedus.connectors.addresses import BadAddress
from foedus.connectors.bus.nats import PATIENCE_S, NatsBus
from foedus.ports.bus import BusUnavailable, Message

SOON_S = 15.0


@pytest.fixture
def make(tmp_path):
    made = []

    def make(url):
        made.append(NatsBus.from_url(url, data=tmp_path))
        return made[-1]

    yield make
    for bus in made:
        bus.close()


class TestNatsBus(BusContract):
    @pytest.fixture
    def bus(self, make, nats_url):
        return make(nats_url)

    @pytest.fixture
    def other(self, make, nats_url):
        return make(nats_url)


@pytest.fixture
def server(tmp_path):
    try:
        with nats_server(tmp_path / "nats") as server:
            yield server
    except NatsMissingError as exc:
        pytest.skip(str(exc))


def publish_when_back(bus, subject, data):
    deadline = time.monotonic() + SOON_S
    while True:
        try:
            return bus.publish(subject, data)
        except BusUnavailable:
            if time.monotonic() > deadline:
                raise


def heard_until(subscription, data):
    found = []
    while not found or found[-1] != data:
        message = subscription.next(SOON_S)
        assert message, found
        found.append(message.data)
    return found


def test_delivery_resumes_after_the_server_was_killed(make, server):
    here, there = make(server.url), make(server.url)
    subscription = here.subscribe("a")
    there.publish("a", b"1")
    first = subscription.next(SOON_S)

    server.stop()
    server.start()
    publish_when_back(there, "a", b"2")
    publish_when_back(there, "a", b"3")

    assert first == Message("a", b"1")
    heard = [data for data in heard_until(subscription, b"3") if data]
    assert list(dict.fromkeys(heard)) == [b"2", b"3"]


def test_who_was_away_catches_up(make, server):
    away, there = make(server.url), make(server.url)
    subscription = away.subscribe("a")
    there.publish("a", b"1")
    heard_until(subscription, b"1")
    away._connection.call(away._connection._follower._inbox.unsubscribe())

    there.publish("a", b"2")
    there.publish("a", b"3")
    server.stop()
    server.start()
    back = time.monotonic()

    assert [data for data in heard_until(subscription, b"3") if data] == [b"2", b"3"]
    assert time.monotonic() - back < PATIENCE_S  # it does not take the silence of the heartbeats to notice


@pytest.fixture
def impatient(monkeypatch):
    monkeypatch.setattr("foedus.connectors.bus.nats.PATIENCE_S", 0.3)
    monkeypatch.setattr("foedus.connectors.bus.nats.HEARTBEAT_S", 0.1)
    monkeypatch.setattr("foedus.connectors.bus.nats.CALL_TIMEOUT_S", 1.0)


def test_a_consumer_that_falls_silent_is_made_again(make, server, impatient):
    bus, other = make(server.url), make(server.url)
    subscription = bus.subscribe("a")
    connection = bus._connection
    connection.call(connection._follower._inbox.unsubscribe())

    other.publish("a", b"x")

    assert heard_until(subscription, b"x")[-1] == b"x"


def test_a_stream_that_was_deleted_is_made_again(make, server, impatient):
    bus, other = make(server.url), make(server.url)
    subscription = bus.subscribe("a")
    other.publish("a", b"1")
    heard_until(subscription, b"1")
    connection = other._connection
    connection.call(connection._follower._js.delete_stream("FOEDUS_WAKE"))

    other.publish("a", b"2")

    assert heard_until(subscription, b"2")[-1] == b"2"


def test_a_server_that_is_not_there_is_unavailable(make, impatient):
    url = f"nats://127.0.0.1:{free_port()}"

    with pytest.raises(BusUnavailable):
        make(url).publish("a")
    with pytest.raises(BusUnavailable):
        make(url).subscribe("a")


def test_a_server_that_goes_away_is_unavailable_until_it_is_back(make, server, impatient):
    bus = make(server.url)
    bus.publish("a")
    server.stop()

    with pytest.raises(BusUnavailable):
        bus.publish("a")
    server.start()

    publish_when_back(bus, "a", b"x")


def test_a_server_without_jetstream_is_unavailable(make, tmp_path, server):
    server.stop()
    server.command.remove("-js")
    server.start()

    with pytest.raises(BusUnavailable):
        make(server.url).subscribe("a")


@pytest.mark.parametrize("credentials", ["word@", "ann:p%40ss@"])
def test_passwords_and_tokens_are_understood(make, tmp_path, credentials, impatient):
    options = ["--auth", "word"] if credentials == "word@" else ["--user", "ann", "--pass", "p@ss"]
    with nats_server(tmp_path / "nats", *options, credentials=credentials) as server:
        bus = make(server.url)
        subscription = bus.subscribe("a")
        bus.publish("a", b"x")

        assert subscription.next(SOON_S) == Message("a", b"x")
        with pytest.raises(BusUnavailable) as error:
            make(server.url.replace(credentials, "ann:wrong@")).publish("a")
        assert "wrong" not in str(error.value)


@pytest.mark.parametrize("option", ["nkey_seed", "nkey_seed_file"])
def test_a_key_pair_is_understood_and_permissions_may_be_narrow(make, tmp_path, option):
    seed = b"SUAMLK2ZNL35WSMW37E7UD4VZ7ELPKW7DHC3BWBSD2GCZ7IUQQXZIORRBU"
    public = nkeys.from_seed(bytearray(seed)).public_key.decode()
    allowed = '["foedus.wake.>", "$JS.API.>", "_INBOX.>"]'
    config = tmp_path / "nats.conf"
    permissions = f"{{ publish: {allowed}, subscribe: {allowed} }}"
    config.write_text(f"authorization {{ users = [{{ nkey: {public}, permissions: {permissions} }}] }}")
    (tmp_path / "seed").write_bytes(seed + b"\n")
    value = seed.decode() if option == "nkey_seed" else tmp_path / "seed"

    with nats_server(tmp_path / "nats", "-c", str(config)) as server:
        bus = make(f"{server.url}?{option}={value}")
        subscription = bus.subscribe("a")
        bus.publish("a", b"x")

        assert subscription.next(SOON_S) == Message("a", b"x")


def test_several_hosts_are_tried(make, nats_url):
    bus = make(nats_url.replace("nats://", f"nats://127.0.0.1:{free_port()},"))
    subscription = bus.subscribe("a")

    bus.publish("a", b"x")

    assert subscription.next(SOON_S) == Message("a", b"x")


@pytest.mark.parametrize(
    "url",
    ["nats:", "nats://", "nats://h/path", "nats://h:port", "nats://h?tls=1", "nats://h?ca=x", "http://u:secret@h"],
)
def test_an_address_that_means_nothing_is_refused_without_showing_secrets(tmp_path, url):
    with pytest.raises(BadAddress) as error:
        NatsBus.from_url(url, data=tmp_path)

    assert "secret" not in str(error.value)
