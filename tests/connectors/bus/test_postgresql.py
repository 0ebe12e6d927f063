import psycopg
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.contracts.bus import BusContract
from tests.servers.postgresql import PostgresqlMissingError, postgresql_cluster
from tests.servers.processes import free_port

from foedus.connectors.addresses import BadAddress
from foedus.connectors.bus.postgresql import CHANNEL, PostgresqlBus, decode, encode
from foedus.ports.bus import BusUnavailable, Message

SOON_S = 20.0


@pytest.fixture
def make(tmp_path):
    made = []

    def make(url):
        made.append(PostgresqlBus.from_url(url, data=tmp_path))
        return made[-1]

    yield make
    for bus in made:
        bus.close()


class TestPostgresqlBus(BusContract):
    @pytest.fixture
    def bus(self, make, postgresql_url):
        return make(postgresql_url)

    @pytest.fixture
    def other(self, make, postgresql_url):
        return make(postgresql_url)


@pytest.fixture
def cluster(tmp_path):
    try:
        with postgresql_cluster(tmp_path / "postgresql") as cluster:
            yield cluster
    except PostgresqlMissingError as exc:
        pytest.skip(str(exc))


def test_delivery_resumes_after_the_server_was_killed_and_everyone_is_woken(make, cluster):
    here, there = make(cluster.url), make(cluster.url)
    subscriptions = [here.subscribe("a"), here.subscribe("b.c")]
    there.publish("a", b"1")
    first = subscriptions[0].next(SOON_S)

    cluster.stop()
    with pytest.raises(BusUnavailable):
        there.publish("a", b"lost")
    cluster.start()
    woken = [subscription.next(SOON_S) for subscription in subscriptions]
    there.publish("a", b"2")

    assert first == Message("a", b"1")
    assert woken == [Message("a", b""), Message("b.c", b"")]
    assert subscriptions[0].next(SOON_S) == Message("a", b"2")


def test_a_listener_that_the_server_throws_out_comes_back(make, postgresql_database):
    bus = make(postgresql_database)
    subscription = bus.subscribe("a")

    with psycopg.connect(postgresql_database, autocommit=True) as admin:
        others = "FROM pg_stat_activity WHERE application_name = 'foedus-bus' AND datname = current_database()"
        admin.execute(f"SELECT pg_terminate_backend(pid) {others}")

    assert subscription.next(SOON_S) == Message("a", b"")
    bus.publish("a", b"x")
    assert subscription.next(SOON_S) == Message("a", b"x")


def test_a_publisher_whose_connection_was_cut_connects_again(make, postgresql_database):
    bus = make(postgresql_database)
    bus.publish("a")

    with psycopg.connect(postgresql_database, autocommit=True) as admin:
        others = "FROM pg_stat_activity WHERE application_name = 'foedus-bus' AND datname = current_database()"
        admin.execute(f"SELECT pg_terminate_backend(pid) {others}")
    subscription = bus.subscribe("a")
    bus.publish("a", b"x")

    assert subscription.next(SOON_S) == Message("a", b"x")


def test_what_others_say_on_the_channel_is_ignored(make, postgresql_database):
    bus = make(postgresql_database)
    subscription = bus.subscribe("a")

    with psycopg.connect(postgresql_database, autocommit=True) as stranger:
        for payload in ("", "a", "a !", "a..b ", "ä eA==", "a eA=", "a " + "A" * 6000):
            stranger.execute("SELECT pg_notify(%s, %s)", (CHANNEL, payload))
    bus.publish("a", b"x")

    heard = [subscription.next(SOON_S)]
    while heard[-1].data != b"x":
        heard.append(subscription.next(SOON_S))
    assert heard == [Message("a", b""), Message("a", b"x")]  # "a" alone is a message without data


@given(st.binary(max_size=4096))
def test_decoding_gives_back_what_was_encoded(data):
    assert decode(encode(Message("a.b", data)).encode()) == Message("a.b", data)


@given(st.binary(max_size=100))
def test_decoding_never_raises(payload):
    assert decode(payload) is None or decode(payload).subject.encode() == payload.partition(b" ")[0]


def test_a_server_that_is_not_there_is_unavailable(make):
    bus = make(f"postgresql://ann:secret@127.0.0.1:{free_port()}/db")

    for use in (bus.publish, bus.subscribe):
        with pytest.raises(BusUnavailable) as error:
            use("a")
        assert "secret" not in str(error.value)


@pytest.mark.parametrize("url", ["postgresql://host/db?sslmod=require", "postgresql://[::1/db"])
def test_an_address_that_means_nothing_is_refused(tmp_path, url):
    with pytest.raises(BadAddress):
        PostgresqlBus.from_url(url, data=tmp_path)


def test_an_unknown_option_is_named(tmp_path):
    with pytest.raises(BadAddress, match="sslmod"):
        PostgresqlBus.from_url("postgresql://ann:secret@host/db?sslmod=require", data=tmp_path)
