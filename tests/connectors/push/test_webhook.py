import ipaddress
import json

import pytest
from tests.contracts.push import PushContract, a_message
from tests.servers.processes import free_port
from tests.servers.receiver import certificate_for, receiver

from foedus.connectors.addresses import BadAddress
from foedus.connectors.internet import is_public
from foedus.connectors.push.webhook import WebhookPush
from foedus.core.errors import Invalid
from foedus.core.signatures import verify_signature
from foedus.ports.push import PushUnavailable
from foedus.ports.secrets import Secret, SecretMissing

SECRET = Secret("a shared secret of some length")
NOW = 1_700_000_000.5


@pytest.fixture
def hook():
    with receiver() as hook:
        yield hook


@pytest.fixture
def data(tmp_path):
    (tmp_path / "secrets").mkdir()
    (tmp_path / "secrets" / "push-webhook").write_text(SECRET.reveal() + "\n")
    return tmp_path


@pytest.fixture
def make():
    made = []

    def make(url, **options):
        made.append(WebhookPush(url, SECRET, clock=lambda: NOW, **{"allow_private": True} | options))
        return made[-1]

    yield make
    for push in made:
        push.close()


class TestWebhookPush(PushContract):
    @pytest.fixture
    def push(self, hook, data):
        push = WebhookPush.from_url(f"webhook:http://localhost:{hook.port}/hook?allow_private=true", data=data)
        yield push
        push.close()

    @pytest.fixture
    def delivered(self, hook):
        return lambda: [json.loads(body) for _, _, body in hook.requests]


def test_a_message_is_signed_and_numbered(make, hook):
    make(f"http://127.0.0.1:{hook.port}/a/b").send(a_message(id="m-7"))

    [(path, headers, body)] = hook.requests
    assert path == "/a/b"
    assert headers["Foedus-Message-Id"] == "m-7"
    assert headers["Content-Type"] == "application/json"
    assert headers["Foedus-Signature"].startswith(f"t={int(NOW)},v1=")
    verify_signature(SECRET, headers["Foedus-Signature"], body, now=NOW + 10)


@pytest.mark.parametrize("status", [301, 302, 307, 400, 401, 404, 410, 429, 500, 503])
def test_any_answer_but_2xx_is_unavailable_and_redirects_are_not_followed(make, hook, status):
    hook.status, hook.location = status, f"http://127.0.0.1:{hook.port}/elsewhere"

    with pytest.raises(PushUnavailable, match=str(status)):
        make(f"http://127.0.0.1:{hook.port}/").send(a_message())

    assert [path for path, _, _ in hook.requests] == ["/"]


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::1]", "0.0.0.0", "[::ffff:127.0.0.1]", "2130706433"])
def test_this_machine_is_out_of_bounds_unless_allowed(make, hook, host):
    with pytest.raises(PushUnavailable, match="private"):
        make(f"http://{host}:{hook.port}/", allow_private=False).send(a_message())

    assert hook.requests == []


def test_a_host_with_one_private_address_among_public_ones_is_out_of_bounds(make):
    push = make("https://hook.example/", allow_private=False, resolve=lambda *_: ["93.184.216.34", "10.0.0.1"])

    with pytest.raises(PushUnavailable, match="private"):
        push.send(a_message())


@pytest.mark.parametrize("address", ["10.0.0.1", "93.184.216.34"])
def test_plain_http_goes_to_this_machine_only(make, address):
    with pytest.raises(PushUnavailable, match="https"):
        make("http://hook.example/", resolve=lambda *_: [address]).send(a_message())


def test_the_address_that_was_checked_is_the_one_connected_to(make, tmp_path):
    context, ca = certificate_for("hook.example", tmp_path)
    asked = []

    def resolve(host, port):
        asked.append((host, port))
        return ["127.0.0.1"]

    with receiver(context) as hook:
        make(f"https://hook.example:{hook.port}/x", ca=str(ca), resolve=resolve).send(a_message())

    [(_, headers, _)] = hook.requests
    assert asked == [("hook.example", hook.port)]
    assert headers["Host"] == f"hook.example:{hook.port}"


def test_a_certificate_for_another_name_is_refused(make, tmp_path):
    context, ca = certificate_for("other.example", tmp_path)

    with receiver(context) as hook, pytest.raises(PushUnavailable):
        make(f"https://hook.example:{hook.port}/", ca=str(ca), resolve=lambda *_: ["127.0.0.1"]).send(a_message())

    assert hook.requests == []


def test_a_certificate_that_nobody_vouches_for_is_refused(make, tmp_path):
    context, _ = certificate_for("localhost", tmp_path)

    with receiver(context) as hook, pytest.raises(PushUnavailable):
        make(f"https://localhost:{hook.port}/").send(a_message())

    assert hook.requests == []


def test_the_next_address_is_tried_when_one_does_not_answer(make, hook):
    push = make(f"http://hook.example:{hook.port}/", resolve=lambda *_: ["127.0.0.9", "127.0.0.1"])

    push.send(a_message())

    assert len(hook.requests) == 1


def test_nobody_there_is_unavailable(make):
    with pytest.raises(PushUnavailable):
        make(f"http://127.0.0.1:{free_port()}/").send(a_message())


@pytest.mark.parametrize("host", ["does-not-exist.invalid", "a..b", "x" * 64 + ".invalid"])
def test_a_name_that_does_not_exist_is_unavailable(make, host):
    with pytest.raises(PushUnavailable):
        make(f"https://{host}/").send(a_message())


@pytest.mark.parametrize("number", ["a\r\nInjected: header", "ä"])
def test_an_id_that_is_no_header_is_refused(make, hook, number):
    with pytest.raises(Invalid):
        make(f"http://127.0.0.1:{hook.port}/").send(a_message(id=number))

    assert hook.requests == []


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1",
        "10.1.2.3",
        "172.16.0.1",
        "192.168.1.1",
        "169.254.169.254",
        "100.64.0.1",
        "0.0.0.0",
        "224.0.0.1",
        "255.255.255.255",
        "::",
        "::1",
        "fe80::1",
        "fe80::1%eth0",
        "fc00::1",
        "ff02::1",
        "::ffff:10.0.0.1",
        "2002:0a00:0001::",
        "64:ff9b::a00:1",
    ],
)
def test_an_address_inside_of_a_network_is_not_public(address):
    assert not is_public(ipaddress.ip_address(address))


@pytest.mark.parametrize(
    "address", ["93.184.216.34", "2606:2800:220:1::1", "::ffff:93.184.216.34", "64:ff9b::5db8:d822"]
)
def test_an_address_out_in_the_open_is_public(address):
    assert is_public(ipaddress.ip_address(address))


@pytest.mark.parametrize(
    "url",
    [
        "webhook:",
        "webhook:https:///path",
        "webhook:https://höst/",
        "webhook:ftp://host/",
        "webhook:file:///etc/passwd",
        "webhook:https://me:s3cr3t@host/",
        "webhook:https://host/?token=1",
        "webhook:https://host/?allow_private=yes",
        "webhook:https://host/#x",
    ],
)
def test_an_address_that_means_nothing_is_refused_without_showing_secrets(data, url):
    with pytest.raises(BadAddress) as error:
        WebhookPush.from_url(url, data=data)

    assert "s3cr3t" not in str(error.value)


def test_a_webhook_without_a_secret_says_where_to_put_one(tmp_path):
    with pytest.raises(SecretMissing, match="push-webhook"):
        WebhookPush.from_url("webhook:https://host/", data=tmp_path)


def test_a_short_secret_is_refused():
    with pytest.raises(BadAddress, match="16"):
        WebhookPush("https://host/", Secret("short"))
