import json
import socket
import threading
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from tests.contracts.push import a_message
from tests.servers.processes import free_port

from foedus.connectors.addresses import BadAddress
from foedus.connectors.push import pushwoosh
from foedus.connectors.push.pushwoosh import PushwooshPush
from foedus.core.errors import Invalid
from foedus.ports.push import PushUnavailable
from foedus.ports.secrets import Secret, SecretMissing

OK = b'{"status_code": 200, "status_message": "OK", "response": {"Messages": ["A-B-C"]}}'
TRAIN = {
    "type": "train",
    "validDate": 1_700_000_000_000,
    "request": 7,
    "project": 1,
    "round": 3,
    "trainingMode": "BASELINE",
}


class Stub:
    """What stands in for Pushwoosh: keeps requests, and answers as told, call by call, then that all is well."""

    def __init__(self):
        self.requests = []
        self.answers = []

    @property
    def notifications(self):
        return [json.loads(body)["request"]["notifications"][0] for _, _, body in self.requests]


@pytest.fixture
def stub():
    state = Stub()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self):
            body = self.rfile.read(int(self.headers["Content-Length"]))
            state.requests.append((self.path, dict(self.headers), body))
            status, answer = state.answers.pop(0) if state.answers else (200, OK)
            self.send_response(status)
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *args):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    state.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield state
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def push(stub):
    push = PushwooshPush("AAAAA-BBBBB", Secret("the token"), endpoint=stub.url)
    yield push
    push.close()


@pytest.fixture
def environment(monkeypatch):
    for name in ("PUSHWOOSH_API_TOKEN", "PUSHWOOSH_APPLICATION_CODE"):
        monkeypatch.delenv(name, raising=False)
    return monkeypatch


def test_a_message_to_a_program_is_silent_data(push, stub):
    push.send(a_message(kind="train", recipients=["user1", "user2"], data=TRAIN, ttl_s=3600))

    [(path, headers, body)] = stub.requests
    assert path == "/json/1.3/createMessage"
    assert headers["Content-Type"] == "application/json"
    assert json.loads(body) == {
        "request": {
            "auth": "the token",
            "application": "AAAAA-BBBBB",
            "notifications": [
                {
                    "send_date": "now",
                    "ignore_user_timezone": True,
                    "data": TRAIN,
                    "users": ["user1", "user2"],
                    "ios_silent": 1,
                    "android_silent": 1,
                    "ios_ttl": 3600,
                    "android_gcm_ttl": 3600,
                }
            ],
        }
    }


def test_a_message_to_people_is_shown_at_the_time_on_their_clocks(push, stub):
    when = {"send_date": "2026-01-02 10:00", "ignore_user_timezone": False, "icon": "https://example.org/icon.png"}

    push.send(a_message(recipients=["user1"], data={}, title="Good day", text="Größe?", ttl_s=86400, options=when))

    assert stub.notifications == [
        {
            "send_date": "2026-01-02 10:00",
            "ignore_user_timezone": False,
            "users": ["user1"],
            "ios_ttl": 86400,
            "android_gcm_ttl": 86400,
            "android_header": "Good day",
            "ios_title": "Good day",
            "content": "Größe?",
            "android_priority": 0,
            "android_delivery_priority": "high",
            "android_custom_icon": "https://example.org/icon.png",
        }
    ]


def test_a_message_to_people_goes_out_now_and_without_an_icon_unless_told(push, stub):
    push.send(a_message(data={}, text="Good day"))

    [fields] = stub.notifications
    assert (fields["send_date"], fields["ignore_user_timezone"]) == ("now", True)
    assert "android_custom_icon" not in fields
    assert "data" not in fields
    assert "android_silent" not in fields


def test_the_kind_is_the_type_of_data_that_names_none(push, stub):
    push.send(a_message(kind="wake", data={"round": 3}))
    push.send(a_message(kind="wake", data={"type": "train"}))
    push.send(a_message(kind="wake", data={"round": 3}, text="Good day"))

    assert [fields["data"] for fields in stub.notifications] == [
        {"type": "wake", "round": 3},
        {"type": "train"},
        {"type": "wake", "round": 3},
    ]


@pytest.mark.parametrize(("count", "batches"), [(1, [1]), (1000, [1000]), (1001, [1000, 1]), (2500, [1000, 1000, 500])])
def test_a_call_has_at_most_1000_recipients(push, stub, count, batches):
    names = [f"user{i}" for i in range(count)]

    push.send(a_message(recipients=names))

    assert [len(fields["users"]) for fields in stub.notifications] == batches
    assert [name for fields in stub.notifications for name in fields["users"]] == names


def test_nobody_is_told_twice_and_no_recipients_are_not_everybody(push, stub):
    push.send(a_message(recipients=["user1", "user2", "user1"]))
    push.send(a_message(recipients=[]))

    assert [fields["users"] for fields in stub.notifications] == [["user1", "user2"]]


def test_another_attempt_goes_on_where_the_last_one_failed(push, stub):
    message = a_message(id="m-1", recipients=[f"user{i}" for i in range(2500)])
    stub.answers = [(200, OK), (503, b"")]

    with pytest.raises(PushUnavailable):
        push.send(message)
    push.send(message)
    push.send(message)  # by now it is over, and this a new one

    assert [fields["users"][0] for fields in stub.notifications] == [
        *["user0", "user1000"],
        *["user1000", "user2000"],
        *["user0", "user1000", "user2000"],
    ]


def test_only_so_many_unfinished_messages_are_remembered(push, stub, monkeypatch):
    monkeypatch.setattr(pushwoosh, "REMEMBERED", 2)
    for number in range(4):
        stub.answers = [(200, OK), (503, b"")]
        with pytest.raises(PushUnavailable):
            push.send(a_message(id=f"m-{number}", recipients=[f"user{i}" for i in range(1001)]))

    assert list(push._taken) == ["m-2", "m-3"]


@pytest.mark.parametrize(
    ("http_status", "answer", "status"),
    [
        (200, b'{"status_code": 210, "status_message": "Application not found", "response": null}', 210),
        (200, b'{"status_code": "200"}', None),
        (200, b"", None),
        (200, b"<html>", None),
        (200, b"[200]", None),
        (200, b"[" * 60_000, None),
        (500, OK, 200),
        (302, OK, 200),
        (403, b"", None),
        (429, b'{"status_code": 429}', 429),
    ],
)
def test_any_answer_but_200_in_its_json_is_unavailable(push, stub, http_status, answer, status):
    stub.answers = [(http_status, answer)]

    with pytest.raises(PushUnavailable) as caught:
        push.send(a_message())

    assert (caught.value.context["http_status"], caught.value.context["status"]) == (http_status, status)
    assert "the token" not in repr(caught.value)


def test_an_answer_without_end_is_cut_off(push, stub):
    stub.answers = [(200, b" " * (pushwoosh.MAX_ANSWER_BYTES + 1))]

    with pytest.raises(PushUnavailable, match="no end"):
        push.send(a_message())


def test_a_host_that_is_not_there_is_unavailable():
    push = PushwooshPush("A", Secret("the token"), endpoint=f"http://127.0.0.1:{free_port()}")

    with pytest.raises(PushUnavailable, match="does not answer"):
        push.send(a_message())
    push.close()


def test_a_host_that_keeps_silent_is_unavailable(monkeypatch):
    monkeypatch.setattr(pushwoosh, "TIMEOUTS", 0.1)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        push = PushwooshPush("A", Secret("the token"), endpoint=f"http://127.0.0.1:{silent.getsockname()[1]}")

        with pytest.raises(PushUnavailable, match="ReadTimeout"):
            push.send(a_message())
        push.close()


@pytest.mark.parametrize(
    "bad",
    [{"x": object()}, {"x": float("nan")}, {"x": b"bytes"}, {"x": {"nested": 1}}, {"x": [1]}, {"x": None}, {1: "x"}],
)
def test_what_phones_cannot_read_is_refused_and_not_sent(push, stub, bad):
    with pytest.raises(Invalid, match="flat"):
        push.send(a_message(data=bad))

    assert stub.requests == []


@pytest.mark.parametrize(
    "options",
    [
        {"send_date": "tomorrow"},
        {"send_date": "2026-01-02T10:00"},
        {"send_date": None},
        {"ignore_user_timezone": 1},
        {"icon": 1},
        {"sound": "bell"},
    ],
)
def test_options_that_are_not_known_are_refused_and_not_sent(push, stub, options):
    with pytest.raises(Invalid, match="send_date, ignore_user_timezone and icon"):
        push.send(a_message(text="Good day", options=options))

    assert stub.requests == []


def test_a_silent_message_takes_no_options(push, stub):
    with pytest.raises(Invalid, match="silent"):
        push.send(a_message(options={"send_date": "now"}))


def test_messages_keep_their_order(push, stub):
    for i in range(20):
        push.send(a_message(data={"round": i}))

    assert [fields["data"]["round"] for fields in stub.notifications] == list(range(20))


def test_many_threads_may_send(push, stub):
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda i: push.send(a_message(id=f"m-{i}", data={"round": i})), range(40)))

    assert sorted(fields["data"]["round"] for fields in stub.notifications) == list(range(40))


def test_closing_may_happen_twice(push):
    push.send(a_message())

    push.close()
    push.close()


def test_an_address_names_application_and_endpoint_and_the_token_is_in_a_file(tmp_path, stub, environment):
    (tmp_path / "secrets").mkdir()
    (tmp_path / "secrets" / "pushwoosh-api-token").write_text("from a file\n")
    push = PushwooshPush.from_url(f"pushwoosh:{stub.url}/other/createMessage?application=CCCCC-DDDDD", data=tmp_path)

    push.send(a_message())
    push.close()

    [(path, _, body)] = stub.requests
    assert path == "/other/createMessage"
    assert json.loads(body)["request"]["application"] == "CCCCC-DDDDD"
    assert json.loads(body)["request"]["auth"] == "from a file"


def test_application_and_token_may_come_from_the_environment(tmp_path, stub, environment):
    environment.setenv("PUSHWOOSH_API_TOKEN", "from the environment")
    environment.setenv("PUSHWOOSH_APPLICATION_CODE", "EEEEE-FFFFF")
    push = PushwooshPush.from_url(f"pushwoosh:{stub.url}", data=tmp_path)

    push.send(a_message())
    push.close()

    [(path, _, body)] = stub.requests
    assert path == "/json/1.3/createMessage"
    assert json.loads(body)["request"]["application"] == "EEEEE-FFFFF"
    assert json.loads(body)["request"]["auth"] == "from the environment"


def test_pushwoosh_itself_is_the_default(tmp_path, environment):
    environment.setenv("PUSHWOOSH_API_TOKEN", "from the environment")

    push = PushwooshPush.from_url("pushwoosh:?application=A", data=tmp_path)

    assert push._endpoint.geturl() == "https://cp.pushwoosh.com/json/1.3/createMessage"
    push.close()


@pytest.mark.parametrize(
    "url",
    [
        "pushwoosh:",
        "pushwoosh:?application=",
        "pushwoosh:?application=a%20b",
        "pushwoosh:?application=A&token=secret",
        "pushwoosh:http://example.org/?application=A",
        "pushwoosh:ftp://example.org/?application=A",
        "pushwoosh:https://user:password@example.org/?application=A",
        "pushwoosh:https:///createMessage?application=A",
    ],
)
def test_a_wrong_address_is_refused(tmp_path, environment, url):
    environment.setenv("PUSHWOOSH_API_TOKEN", "t")

    with pytest.raises(BadAddress) as caught:
        PushwooshPush.from_url(url, data=tmp_path)

    assert "password" not in str(caught.value)


@pytest.mark.parametrize("content", [None, "", " \n", b"\xff"])
def test_without_a_token_it_says_where_to_put_one(tmp_path, environment, content):
    file = tmp_path / "secrets" / "pushwoosh-api-token"
    file.parent.mkdir()
    if content is not None:
        file.write_bytes(content if isinstance(content, bytes) else content.encode())

    with pytest.raises(SecretMissing, match="pushwoosh-api-token"):
        PushwooshPush.from_url("pushwoosh:?application=A", data=tmp_path)
