import io

import httpx
import pytest
from tests.sdk.wire import MODEL_BYTES, URL, Wire, checkpoint, cut, problem, reply

from foedus.core.errors import Invalid, TooLarge, Unavailable
from foedus.sdk.answers import Checkpoint
from foedus.sdk.downloads import Download
from foedus.sdk.link import Link
from foedus.sdk.models import checked
from foedus.sdk.problems import BadAnswer

PATH = "/projects/digits/checkpoints/2/model"
TOTAL = len(MODEL_BYTES)


@pytest.fixture
def wire():
    return Wire()


@pytest.fixture
def sink():
    return io.BytesIO()


def download(wire, sink, announced=None):
    link = Link(URL, transport=wire.transport)
    return Download(link, PATH, announced or Checkpoint.of(checkpoint()), sink)


def rest(start, **headers):
    headers = {"content-range": f"bytes {start}-{TOTAL - 1}/{TOTAL}"} | headers
    return reply(206, content=MODEL_BYTES[start:], headers=headers)


def test_a_download_goes_on_where_it_was_cut(wire, sink):
    wire.on("GET", PATH, cut(MODEL_BYTES[:50], TOTAL))
    wire.on("GET", PATH, cut(MODEL_BYTES[50:90], TOTAL - 50, 206, {"content-range": f"bytes 50-{TOTAL - 1}/{TOTAL}"}))
    wire.on("GET", PATH, rest(90))

    download(wire, sink).attempt()

    assert sink.getvalue() == MODEL_BYTES
    assert [r.headers.get("range") for r in wire.requests] == [None, "bytes=50-", "bytes=90-"]
    assert {r.headers["if-range"] for r in wire.requests[1:]} == {f'"{checkpoint()["digest"]}"'}


def test_a_download_goes_on_where_another_process_left_it(wire, sink):
    sink.write(MODEL_BYTES[:70])
    wire.on("GET", PATH, rest(70))

    download(wire, sink).attempt()

    assert sink.getvalue() == MODEL_BYTES


def test_a_whole_file_that_is_there_already_is_only_checked(wire, sink):
    sink.write(MODEL_BYTES)

    download(wire, sink).attempt()

    assert wire.requests == []


def test_a_server_that_cannot_resume_sends_everything_again(wire, sink):
    sink.write(b"x" * 70)
    wire.on("GET", PATH, reply(content=MODEL_BYTES))

    download(wire, sink).attempt()

    assert sink.getvalue() == MODEL_BYTES


def test_a_cut_without_any_progress_is_left_to_the_callers_patience(wire, sink):
    wire.on("GET", PATH, httpx.ConnectError("refused"))

    with pytest.raises(Unavailable, match="cannot be reached"):
        download(wire, sink).attempt()

    assert len(wire.requests) == 1


def test_a_range_that_cannot_be_satisfied_begins_anew(wire, sink):
    sink.write(MODEL_BYTES[:70])
    wire.on("GET", PATH, problem(416, "range_not_satisfiable"), reply(content=MODEL_BYTES))
    begun = download(wire, sink)

    with pytest.raises(BadAnswer):
        begun.attempt()
    begun.attempt()

    assert sink.getvalue() == MODEL_BYTES
    assert "range" not in wire.requests[1].headers


def test_another_digest_is_refused_and_given_up_after_three_times(wire, sink):
    wire.on("GET", PATH, reply(content=b"x" * TOTAL))
    begun = download(wire, sink)

    for _ in range(2):
        with pytest.raises(BadAnswer, match="another digest"):
            begun.attempt()
    with pytest.raises(Invalid, match="3 times"):
        begun.attempt()

    assert sink.getvalue() == b""


def test_damage_in_a_part_that_was_left_is_made_good_by_beginning_anew(wire, sink):
    sink.write(b"x" * 70)
    wire.on("GET", PATH, rest(70), reply(content=MODEL_BYTES))
    begun = download(wire, sink)

    with pytest.raises(BadAnswer, match="another digest"):
        begun.attempt()
    begun.attempt()

    assert sink.getvalue() == MODEL_BYTES


@pytest.mark.parametrize(
    "answer",
    [
        reply(content=b"", headers={"content-length": str(10**15)}),
        reply(content=MODEL_BYTES + b"more"),
        reply(206, content=MODEL_BYTES, headers={"content-range": f"bytes 0-{TOTAL - 1}/{TOTAL}"}),
        reply(content=MODEL_BYTES, headers={"content-encoding": "br"}),
    ],
)
def test_more_bytes_than_announced_another_place_or_another_encoding_are_refused(wire, sink, answer):
    sink.write(MODEL_BYTES[:70])
    wire.on("GET", PATH, answer)

    with pytest.raises((BadAnswer, Unavailable)):
        download(wire, sink).attempt()

    assert len(sink.getvalue()) <= TOTAL


def test_an_endless_body_of_unknown_length_is_broken_off(wire, sink):
    pieces = []

    class Endless(httpx.SyncByteStream):
        def __iter__(self):
            while True:
                pieces.append(1)
                yield b"x" * 100

    wire.on("GET", PATH, lambda _request: httpx.Response(200, stream=Endless()))

    with pytest.raises(BadAnswer, match="longer than announced"):
        download(wire, sink).attempt()

    assert len(pieces) <= TOTAL / 100 + 2


def test_a_break_off_keeps_what_has_arrived(wire, sink):
    wire.on("GET", PATH, cut(MODEL_BYTES[:50], TOTAL), rest(50))
    asked = []

    def check():
        asked.append(1)
        if len(asked) == 2:
            raise KeyboardInterrupt

    link = Link(URL, transport=wire.transport)

    with pytest.raises(KeyboardInterrupt):
        Download(link, PATH, Checkpoint.of(checkpoint()), sink, check).attempt()

    assert sink.getvalue() == MODEL_BYTES[:50]


@pytest.mark.parametrize("digest", ["", "../../etc/passwd", "A" * 64, "0" * 63])
def test_a_digest_that_is_none_cannot_name_a_file(digest):
    with pytest.raises(Invalid, match="SHA-256"):
        checked(Checkpoint(1, digest, 10), 100)


def test_a_model_larger_than_allowed_is_not_even_begun():
    with pytest.raises(TooLarge, match="max_model_bytes"):
        checked(Checkpoint(1, "0" * 64, 10**15), 10**9)
