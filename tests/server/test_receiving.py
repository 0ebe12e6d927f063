"""Bodies are received before a thread is taken for them, as far as they keep to time and size."""

import asyncio
from types import SimpleNamespace

import pytest
from a2wsgi import WSGIMiddleware
from tests.server.exchanges import Exchange

from foedus.server.receiving import MEMORY_BYTES, Threaded

LARGE = {"/api/v1/": 3 << 20}


def echo(environ, start_response):
    start_response("200 OK", [])
    return [environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))]


@pytest.fixture
def threaded():
    """One thread for everybody, and little patience."""
    return Threaded(WSGIMiddleware(echo, workers=1), large=LARGE, idle_s=0.05)


@pytest.fixture
def post(tmp_path):
    app = SimpleNamespace(state=SimpleNamespace(ports=SimpleNamespace(scratch=tmp_path)))

    def made(path="/foedus/v1/enrol", pieces=(), *, length=None, **more):
        length = sum(map(len, pieces)) if length is None else length
        headers = {"Content-Length": str(length)} if length >= 0 else {"Transfer-Encoding": "chunked"}
        return Exchange("POST", path, headers=headers, pieces=pieces, app=app, **more)

    return made


def test_bodies_that_never_end_keep_no_thread_from_others(threaded, post):
    async def test():
        slow = [
            asyncio.create_task(post(pieces=[b"{"], length=100, is_complete=False).through(threaded)) for _ in range(40)
        ]
        await asyncio.sleep(0)
        quick = await post(pieces=[b"{}"]).through(threaded)
        assert not any(task.done() for task in slow)
        return quick, await asyncio.gather(*slow)

    quick, slow = asyncio.run(test())

    assert (quick.status, quick.body) == (200, b"{}")
    assert {(one.status, one.code) for one in slow} == {(408, "timeout")}


@pytest.mark.parametrize("n_pieces", [0, 1, 2])
def test_a_large_body_arrives_whole_where_large_ones_are_taken(threaded, post, n_pieces):
    pieces = [bytes([65 + i]) * MEMORY_BYTES for i in range(n_pieces)] + [b"end"]

    answer = asyncio.run(post("/api/v1/model_updates/", pieces).through(threaded))

    assert (answer.status, answer.body) == (200, b"".join(pieces))


@pytest.mark.parametrize(
    ("path", "limit"), [("/foedus/v1/enrol", MEMORY_BYTES), ("/api/v1/model_updates/", LARGE["/api/v1/"])]
)
@pytest.mark.parametrize("is_announced", [True, False])
def test_more_than_a_route_takes_is_refused(threaded, post, path, limit, is_announced, tmp_path):
    pieces = [bytes(1 << 19)] * (limit >> 19) + [b"!"]
    sent = post(path, pieces, length=None if is_announced else -1)

    answer = asyncio.run(sent.through(threaded))

    assert (answer.status, answer.code) == (413, "too_large")
    assert sent.n_received == (0 if is_announced else len(pieces))
    assert list(tmp_path.iterdir()) == []


def test_less_than_announced_is_refused(threaded, post):
    answer = asyncio.run(post(pieces=[b"{}"], length=3).through(threaded))

    assert (answer.status, answer.code) == (400, "malformed")


def test_bodies_that_trickle_are_given_up(threaded, post, monkeypatch):
    monkeypatch.setattr("foedus.server.receiving._START_S", 0.0)
    trickling = post(pieces=[b"{"], length=100, is_complete=False)
    threaded._idle_s = 60.0

    answer = asyncio.run(trickling.through(threaded))

    assert (answer.status, answer.code) == (408, "timeout")


def test_bodies_that_are_done_with_are_no_longer_counted(threaded, post):
    for length in (-1, 100):
        for path in ("/foedus/v1/enrol", "/api/v1/model_updates/"):
            asyncio.run(post(path, [bytes(MEMORY_BYTES), b"!"], length=length).through(threaded))

    assert (threaded._held, threaded._files) == (0, 0)


def test_a_header_with_an_underscore_does_not_pass_for_the_one_with_a_hyphen(post):
    def headers(environ, start_response):
        start_response("200 OK", [])
        return [",".join(name for name in sorted(environ) if name.startswith("HTTP_CLIENT")).encode()]

    smuggled = post(pieces=[b"{}"])
    smuggled.scope["headers"] += [(b"client_uuid", b"1"), (b"client-uuid_", b"1"), (b"client-id", b"1")]

    answer = asyncio.run(smuggled.through(Threaded(WSGIMiddleware(headers, workers=1), large=LARGE)))

    assert answer.body == b"HTTP_CLIENT_ID"
