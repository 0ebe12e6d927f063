"""Subjects of a real NATS server with JetStream."""

import asyncio
import os
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from uuid import uuid4

import nats
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID
from nats.js.errors import NotFoundError
from tests.contracts.streams import StreamContract, taken
from tests.servers.nats import NatsMissingError, nats_server

from foedus.connectors.contents import Terms
from foedus.connectors.internet import Guard, Private
from foedus.connectors.streams.nats import NatsStream
from foedus.core.errors import Invalid
from foedus.ports.sources import SourceRefuses, SourceUnavailable
from foedus.ports.streams import BEGINNING


def published(url, subject, messages, *, make=True):
    """Messages that the server has on its disk."""

    async def run():
        client = await nats.connect(url)
        js = client.jetstream()
        try:
            await js.find_stream_name_by_subject(subject)
        except NotFoundError:
            await js.add_stream(name=f"S{uuid4().hex}", subjects=[subject])
        for message in messages:
            await js.publish(subject, message)
        await client.close()

    asyncio.run(run())


@pytest.fixture
def stream():
    return NatsStream(Terms(Guard.allowing(["127.0.0.1"])))


@pytest.fixture
def subject():
    return f"visits.{uuid4().hex}"


class TestNats(StreamContract):
    @pytest.fixture
    def info(self, nats_url, subject):
        return {"nats_hosts": nats_url, "nats.subject": subject}

    @pytest.fixture
    def publish(self, nats_url, subject):
        return lambda *messages: published(nats_url, subject, messages)


@pytest.fixture
def server(tmp_path):
    try:
        with nats_server(tmp_path / "nats", "--user", "u", "--pass", "orchid", credentials="u:orchid@") as server:
            yield server
    except NatsMissingError as exc:
        pytest.skip(str(exc))


def info_of(server, subject="visits", **more):
    return {"nats_hosts": server.url.replace("u:orchid@", ""), "nats.subject": subject,
            "nats_sec_user": "u", "nats_sec_password": "orchid", **more}  # fmt: skip


def drained(follower):
    for _ in range(10):
        follower.take(timeout_s=1.0)


def test_a_follower_learns_that_the_server_died_and_the_next_goes_on(server, stream):
    published(server.url, "visits", [b"a", b"b"])
    with stream.follow(info_of(server), BEGINNING) as follower:
        first, second = follower.take(timeout_s=5.0)
        server.stop()
        with pytest.raises(SourceUnavailable):
            drained(follower)
    server.start()
    published(server.url, "visits", [b"c"])

    assert [message.data for message in taken(stream, info_of(server), second.position, enough=1)] == [b"c"]
    assert [message.data for message in taken(stream, info_of(server), first.position, enough=2)] == [b"b", b"c"]


def test_wrong_credentials_are_refused_and_not_repeated(server, stream):
    with pytest.raises(SourceRefuses) as caught:
        stream.latest(info_of(server, nats_sec_password="wrong"))

    assert "wrong" not in str(caught.value)


@pytest.mark.parametrize("host", ["127.0.0.1:4222", "nats://169.254.169.254", "localhost"])
def test_private_servers_are_refused(host):
    with pytest.raises(Private):
        NatsStream(Terms()).latest({"nats_hosts": host, "nats.subject": "visits"})


@pytest.mark.parametrize(
    "info",
    [{}, {"nats_hosts": "http://h"}, {"nats_hosts": "h", "nats.subject": "a b"}, {"nats_hosts": "h:x"},
     {"nats_hosts": "h", "nats.subject": "$JS.API.>"},
     {"nats_hosts": "h", "nats.subject": "a", "nats_req_timeout": "x"}],
)  # fmt: skip
def test_what_is_incomplete_or_odd_is_refused(info):
    guard = Guard.allowing(["127.0.0.1"], resolve=lambda *_: ["127.0.0.1"])

    with pytest.raises((Invalid, SourceUnavailable)):
        NatsStream(Terms(guard)).latest(info)


def configured(tmp_path, text):
    file = tmp_path / "nats.conf"
    file.write_text(text)
    try:
        return nats_server(tmp_path / "nats", "-c", str(file))
    except NatsMissingError as exc:
        pytest.skip(str(exc))


def nkey():
    """The seed of a user, and its public key."""
    import nkeys

    pair = nkeys.from_seed(nkeys.encode_seed(os.urandom(32), nkeys.PREFIX_BYTE_USER))
    return pair.seed.decode(), pair.public_key.decode()


def test_people_also_sign_in_by_nkey(stream, tmp_path):
    seed, public = nkey()
    with configured(tmp_path, f"authorization {{ users: [ {{ nkey: {public} }} ] }}") as server:
        info = {"nats_hosts": server.url, "nats.subject": "visits"}

        assert stream.latest({**info, "nats_sec_nkey_seed": seed}).endswith("/0")
        with pytest.raises(SourceRefuses) as caught:
            stream.latest({**info, "nats_sec_nkey_seed": nkey()[0]})
        assert "SU" not in str(caught.value)
        with pytest.raises(Invalid, match="nkey_seed"):
            stream.latest({**info, "nats_sec_nkey_seed": "SUnothing"})


@pytest.fixture
def certificate(tmp_path):
    """Of 127.0.0.1, by an authority of its own; its files."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "broker")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number(), now - timedelta(days=1),
                                now + timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .sign(key, hashes.SHA256())
    )  # fmt: skip
    files = tmp_path / "broker.crt", tmp_path / "broker.key"
    files[0].write_bytes(made.public_bytes(Encoding.PEM))
    files[1].write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    return files


def test_a_connection_is_sealed_and_its_certificate_checked(stream, tmp_path, certificate, monkeypatch):
    text = 'tls {{ cert_file: "{}", key_file: "{}" }}'.format(*certificate)
    with configured(tmp_path, text) as server:
        info = {"nats_hosts": server.url.replace("nats:", "tls:"), "nats.subject": "visits"}

        with pytest.raises(SourceUnavailable, match="Cert"):
            stream.latest(info)
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate[0]))
        assert stream.latest(info).endswith("/0")
