"""What the whole application does around each request: its names, its unread bodies, its line in the log."""

import asyncio

import pytest
from structlog.testing import capture_logs
from tests.server.exchanges import Exchange

from foedus.core.errors import Unavailable
from foedus.faces.native.errors import Malformed
from foedus.faces.native.streaming.calls import answer_to
from foedus.server.asgi import application
from foedus.server.middleware import Draining, HostCheck, Summary


async def fine(scope, receive, send):
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"fine"})


def refusing(exc):
    async def refuse(scope, receive, send):
        await answer_to(exc, scope["path"])(scope, receive, send)

    return refuse


def raising(exc):
    async def fail(scope, receive, send):
        raise exc

    return fail


def passed(exchange, app):
    """The exchange after it went through, and the log's lines."""
    with capture_logs() as lines:
        asyncio.run(exchange.through(app))
    return exchange, lines


@pytest.mark.parametrize("path", ["/foedus/v1/projects/x/next", "/foedus/v1/", "/api/v1/models", "/admin/"])
def test_a_foreign_host_is_refused_on_every_route(path, ports):
    app = application()
    app.state.ports = ports

    answer, lines = passed(Exchange(path=path, headers={"Host": "evil.example"}), app)

    assert (answer.status, answer.code) == (400, "unknown_host")
    assert b"FOEDUS_ALLOWED_HOSTS" in answer.body
    assert [line["event"] for line in lines] == ["request.answered"]


@pytest.mark.parametrize(
    ("hosts", "host", "status"),
    [
        (["localhost"], "localhost:8080", 200),
        (["localhost"], "LOCALHOST", 200),
        ([".example.org"], "a.example.org", 200),
        (["[::1]"], "[::1]:80", 200),
        (["*"], "anything", 200),
        (["*"], "", 200),
        (["*"], "a b", 400),
        (["localhost"], "", 400),
        (["localhost"], "localhost.evil.example", 400),
        (["localhost"], "localhost@evil.example", 400),
    ],
)
def test_only_names_of_the_server_pass(hosts, host, status):
    answer, _ = passed(Exchange(headers={"Host": host}), HostCheck(fine, hosts))

    assert answer.status == status


def test_a_refusal_that_leaves_much_unread_ends_the_connection():
    sent = Exchange("PUT", headers={"Content-Length": str(1 << 30)}, pieces=[bytes(1 << 20)] * 1000)

    answer, _ = passed(sent, Draining(refusing(Malformed("no"))))

    assert answer.headers["connection"] == "close"
    assert sent.n_received == 64


def test_a_refusal_that_leaves_little_unread_reads_it_and_keeps_the_connection():
    sent = Exchange("PUT", headers={"Content-Length": "20"}, pieces=[bytes(10), bytes(10)])

    answer, _ = passed(sent, Draining(refusing(Malformed("no"))))

    assert "connection" not in answer.headers
    assert sent.n_received == 3


@pytest.mark.parametrize("more", [{}, {"Expect": "100-continue"}])
def test_a_refusal_waits_for_nobody_who_sends_nothing(more, monkeypatch):
    monkeypatch.setattr("foedus.server.middleware._DRAIN_S", 60.0)
    monkeypatch.setattr("foedus.server.middleware._DRAIN_IDLE_S", 0.05)
    sent = Exchange("PUT", headers={"Content-Length": "20", **more}, is_complete=bool(more))

    answer, _ = passed(sent, Draining(refusing(Malformed("no"))))

    assert answer.headers["connection"] == "close"
    assert sent.n_received == 0


@pytest.mark.parametrize(
    ("path", "face"),
    [("/foedus/v1/me", "native"), ("/api/v1/models", "fma"), ("/api/projects", "flaas"), ("/readyz", "server")],
)
def test_each_request_has_one_line_without_its_query(path, face):
    sent = Exchange(path=path)
    sent.scope["query_string"] = b"token=secret"

    _, (line,) = passed(sent, Summary(refusing(Malformed("no"))))

    assert line.pop("milliseconds") >= 0
    assert line == {
        "event": "request.answered", "log_level": "info", "face": face, "method": "GET", "path": path, "status": 400,
        "error": "malformed",
    }  # fmt: skip


def test_probes_that_find_all_well_are_not_worth_a_line():
    _, (line,) = passed(Exchange(path="/healthz"), Summary(fine))

    assert (line["log_level"], line["status"], line["error"]) == ("debug", 200, None)


def test_what_nobody_caught_is_answered_and_found_in_the_log():
    answer, (failure, summary) = passed(Exchange(), Summary(raising(RuntimeError("a bug"))))

    assert (answer.status, answer.code) == (500, "internal")
    assert failure["request_id"].encode() in answer.body
    assert b"a bug" not in answer.body
    assert (summary["status"], summary["error"]) == (500, "internal")


def test_what_is_unavailable_makes_no_traceback():
    answer, (reason, _) = passed(Exchange(), Summary(raising(Unavailable("the store is away"))))

    assert (answer.status, answer.code) == (503, "unavailable")
    assert (reason["log_level"], reason["error"]) == ("warning", "the store is away")
    assert "exc_info" not in reason
