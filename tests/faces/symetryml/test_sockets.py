"""WebSockets: what REST does, message by message."""

import json

import pytest
from tests.faces.symetryml.conftest import SECRET, a_date

from foedus.core.symetryml.signing import SocketMessage, content_md5, sign_socket_message
from foedus.records.statistics.models import StatisticsProject

FRAME = '{"attributeNames":["a","b"],"data":[["1","0"]],"attributeTypes":["C","B"]}'
URL = "ws://testserver/symetry/ws/learn"


def message(payload=FRAME, url=URL, extra=("p1",), cid="c1", secret=SECRET, signature=None, md5=None):
    date = a_date()
    signed = SocketMessage(date=date, customer=cid, payload=payload.encode(), urls=(url,), extra=extra)
    headers = [
        date,
        content_md5(payload.encode()) if md5 is None else md5,
        signature or sign_socket_message(signed, secret),
        cid,
    ]
    header = json.dumps({"headers": headers, "extraKeys": list(extra)})
    return f"{len(header)},{header}{payload}"


async def _conversation(app, path, messages):
    """The answers to messages, each sent once the one before was answered."""
    answers = []
    incoming = iter([{"type": "websocket.connect"}, *({"type": "websocket.receive", "text": m} for m in messages)])

    async def receive():
        return next(incoming, {"type": "websocket.disconnect", "code": 1000})

    async def send(message):
        if message["type"] == "websocket.send":
            answers.append(json.loads(message["text"]))

    scope = {
        "type": "websocket", "path": path, "raw_path": path.encode(), "query_string": b"", "scheme": "ws",
        "headers": [(b"host", b"testserver")], "client": ("192.0.2.1", 1), "server": ("testserver", 80),
        "root_path": "", "subprotocols": [], "state": {}, "http_version": "1.1",
    }  # fmt: skip
    await app(scope, receive, send)
    return answers


@pytest.fixture
def talk(app, portal, c1):
    """Sends messages over one connection; the answers."""
    c1.project()

    def talked(*messages, call="learn"):
        return portal.call(_conversation, app, f"/symetry/ws/{call}", messages)

    return talked


def rows():
    return StatisticsProject.objects.get().rows


def test_a_message_learns_and_another_forgets(talk):
    assert talk(message(), message()) == [{"statusCode": "OK", "statusString": "OK", "values": {}}] * 2
    assert rows() == 2

    forgotten = talk(message(url="ws://testserver/symetry/ws/forget"), call="forget")

    assert forgotten[0]["statusCode"] == "OK"
    assert rows() == 1


@pytest.mark.parametrize("url", [URL, "wss://testserver/symetry/ws/learn", "/symetry/ws/learn"])
def test_whole_addresses_and_paths_are_signed(talk, url):
    assert talk(message(url=url))[0]["statusCode"] == "OK"


def test_later_messages_may_leave_their_header_out(talk):
    assert [answer["statusCode"] for answer in talk(message(), FRAME)] == ["OK", "OK"]
    assert rows() == 2


def test_the_first_message_may_not(talk):
    assert talk(FRAME)[0]["statusCode"] == "UNAUTHORIZED"
    assert rows() == 0


@pytest.mark.parametrize(
    ("bad", "expected"),
    [
        ({"signature": "AAAA"}, ("UNAUTHORIZED", "Invalid Signature")),
        ({"cid": "nobody"}, ("UNAUTHORIZED", "Invalid User")),
        ({"md5": content_md5(b"x")}, ("BAD_REQUEST", "Md5 do not match")),
        ({"extra": ("none",)}, ("BAD_REQUEST", "Cannot Find SYMETRYML id[none] for Customer id [c1]")),
        ({"url": "ws://testserver/symetry/ws/forget"}, ("UNAUTHORIZED", "Invalid Signature")),
    ],
)  # fmt: skip
def test_what_is_wrong_is_told_and_the_connection_goes_on(talk, bad, expected):
    refused, good = talk(message(**bad), message())

    assert (refused["statusCode"], refused["statusString"]) == expected
    assert good["statusCode"] == "OK"
    assert rows() == 1


def test_after_a_refused_header_nothing_goes_on_without_one(talk):
    codes = [answer["statusCode"] for answer in talk(message(), message(signature="AAAA"), FRAME)]

    assert codes == ["OK", "UNAUTHORIZED", "UNAUTHORIZED"]
    assert rows() == 1


def test_a_message_is_taken_once(talk):
    text = message()

    assert [answer["statusCode"] for answer in talk(text, text)] == ["OK", "UNAUTHORIZED"]
    assert rows() == 1


@pytest.mark.parametrize(
    "text", ["", "x", "5", "9,{}", "2,{}{}", "99999,{}", "1000000,{}", "-1,{}", "2,[]x", '14,{"headers":[]}', "4,null"]
)
def test_what_is_no_message_is_refused(talk, text):
    (answer,) = talk(text)

    assert answer["statusCode"] in ("BAD_REQUEST", "UNAUTHORIZED")
    assert rows() == 0


def test_a_call_that_is_none_is_told(talk):
    assert talk(message(), call="dance")[0]["statusCode"] == "BAD_REQUEST"
