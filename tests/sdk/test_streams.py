import itertools
import json
import random
import threading

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.sdk.wire import URL, Cut, NoJitter, Wire, problem, reply

from foedus.core.errors import Forbidden
from foedus.sdk.answers import Event
from foedus.sdk.link import Link
from foedus.sdk.problems import BadAnswer
from foedus.sdk.stopping import Stop
from foedus.sdk.streams import MAX_EVENT_BYTES, follow, messages

EVENTS = "/projects/digits/events"
STREAM = {"content-type": "text/event-stream"}


def sse(*ids, kind="round.opened"):
    return "".join(f"id: {i}\nevent: {kind}\ndata: {json.dumps({'round': i})}\n\n" for i in ids).encode()


def stream(*ids, before=b""):
    return reply(content=before + sse(*ids), headers=STREAM)


def cut_stream(data):
    return lambda _request: httpx.Response(200, stream=Cut(data), headers=STREAM)


def following(wire, after=None, stop=None):
    return follow(Link(URL, transport=wire.transport), EVENTS, after, stop, NoJitter())


def taken(events, count):
    return list(itertools.islice(events, count))


TEXT = (
    ': still here\r\n\r\nid: 1\nevent: a\ndata: {"x":\ndata: "ä\u2028\x0c"}\n\n'
    "retry: 5\nid:2\rdata\rdata:3\r\rdata: lost"
)


@given(st.lists(st.integers(0, len(TEXT.encode()))))
def test_events_are_the_same_wherever_the_stream_is_cut(places):
    data = TEXT.encode()
    ends = [0, *sorted(places), len(data)]
    pieces = [data[a:b] for a, b in itertools.pairwise(ends)]

    found = [(m.id, m.kind, m.data) for m in messages(pieces)]

    assert found == [("1", "a", ['{"x":', '"ä\u2028\x0c"}']), ("2", "message", ["", "3"])]


@pytest.mark.parametrize("piece", [b"data: " + b"x" * 1000, b"data: " + b"x" * 1000 + b"\n"])
def test_an_event_without_end_is_broken_off(piece):
    def endless():
        for _ in range(2 * MAX_EVENT_BYTES // len(piece)):
            yield piece

    with pytest.raises(BadAnswer, match="longer than"):
        list(messages(endless()))


def test_events_come_as_values():
    wire = Wire().on("GET", EVENTS, stream(1, 2, before=b": hello\n\n"))

    assert taken(following(wire), 2) == [
        Event(1, "round.opened", {"round": 1}),
        Event(2, "round.opened", {"round": 2}),
    ]


def test_a_broken_stream_is_taken_up_after_the_latest_event_and_none_comes_twice():
    wire = Wire()
    wire.on("GET", EVENTS, cut_stream(sse(4, 5) + b"id: 6\ndata: {"), httpx.ConnectError("no"), stream(5, 6), stream(7))

    events = taken(following(wire, after=3), 4)

    assert [event.id for event in events] == [4, 5, 6, 7]
    assert [r.headers.get("last-event-id") for r in wire.requests] == ["3", "5", "5", "6"]


def test_who_may_not_follow_is_told():
    wire = Wire().on("GET", EVENTS, problem(403, "forbidden"))

    with pytest.raises(Forbidden):
        next(following(wire))


@pytest.mark.parametrize(
    "text", [b"id: x\ndata: {}\n\n", b"id: 1\ndata: {\n\n", b"id: 1\ndata: [1]\n\n", b"data: {}\n\n"]
)
def test_a_broken_event_is_passed_over_by_asking_again(text):
    wire = Wire().on("GET", EVENTS, reply(content=text, headers=STREAM), stream(1))

    assert next(following(wire)).id == 1


def test_a_page_of_html_is_no_stream():
    wire = Wire().on("GET", EVENTS, reply(content=b"data: {}", headers={"content-type": "text/html"}), stream(1))

    assert next(following(wire)).id == 1


def test_a_stop_ends_the_waiting_for_a_server_that_is_gone():
    wire = Wire().on("GET", EVENTS, httpx.ConnectError("no"))
    stop = Stop()
    timer = threading.Timer(0.05, stop.set)
    timer.start()

    found = list(follow(Link(URL, transport=wire.transport), EVENTS, None, stop, random.Random(1)))

    timer.join()
    assert found == []
