import logging

import httpx
import pytest
from tests.sdk.wire import FINISHED, MODEL_BYTES, URL, Wire, checkpoint, reply, take_part, train_task

from foedus.core.arrays import Arrays
from foedus.core.codecs import safetensors
from foedus.core.errors import Invalid, Unavailable
from foedus.sdk import Redirected, Update
from foedus.sdk.link import MAX_ANSWER_BYTES, Link, checked_url, path
from foedus.sdk.problems import BadAnswer

NEXT = "/projects/digits/next"


def link(wire):
    return Link(URL, transport=wire.transport)


@pytest.mark.parametrize(
    ("given", "used"),
    [
        ("https://foedus.example", "https://foedus.example"),
        ("https://foedus.example/", "https://foedus.example"),
        ("http://127.0.0.1:8080/foedus/v1/", "http://127.0.0.1:8080"),
        ("https://host/behind/a/proxy", "https://host/behind/a/proxy"),
    ],
)
def test_a_url_is_the_servers_with_or_without_the_prefix(given, used):
    assert checked_url(given) == used


@pytest.mark.parametrize(
    "url",
    [
        "",
        "foedus.example",
        "ftp://host",
        "https://",
        "https://user:secret@host",
        "https://host?x=1",
        None,
        "http://[::",
    ],
)
def test_what_is_not_the_url_of_a_server_is_refused(url):
    with pytest.raises(Invalid):
        checked_url(url)


@pytest.mark.parametrize(
    ("url", "warnings"),
    [("http://hospital.example", 1), ("http://localhost:1", 0), ("http://127.0.0.1", 0), ("https://a.example", 0)],
)
def test_a_token_in_the_clear_is_warned_of(url, warnings, caplog):
    checked_url(url)

    assert len([r for r in caplog.records if r.levelno == logging.WARNING]) == warnings


def test_a_name_cannot_become_another_address():
    assert path("projects", "a/../b?x#y", 3) == "/projects/a%2F..%2Fb%3Fx%23y/3"
    with pytest.raises(Invalid, match="dotted"):
        path("projects", "..")
    with pytest.raises(Invalid, match="empty"):
        path("projects", "")


def test_a_token_read_from_a_file_may_end_in_a_newline():
    wire = Wire()
    wire.on("GET", "/me", reply(json={}))
    client = link(wire)

    client.authenticate("fpa_1\r\n")
    client.json("GET", "/me")

    assert wire.requests[0].headers["authorization"] == "Bearer fpa_1"


@pytest.mark.parametrize("token", ["", "two words", "line\nbreak", "ümlaut"])
def test_a_damaged_token_is_found_before_it_is_sent(token):
    with pytest.raises(Invalid, match="one word"):
        link(Wire()).authenticate(token)


@pytest.mark.parametrize(
    "answer",
    [
        reply(content=b"<html>Please log in</html>", headers={"content-type": "text/html"}),
        reply(content=b"{", headers={"content-type": "application/json"}),
        reply(content=b'{"a": NaN}', headers={"content-type": "application/json"}),
        reply(content=b"[" * 100_000, headers={"content-type": "application/json"}),
        reply(content=b"\x1f\x8bnot gzip", headers={"content-type": "application/json", "content-encoding": "gzip"}),
    ],
)
def test_an_answer_that_is_no_json_is_a_bad_one(answer):
    with pytest.raises(Unavailable):
        link(Wire().on("GET", "/me", answer)).json("GET", "/me")


def test_an_answer_without_end_is_broken_off():
    class Endless(httpx.SyncByteStream):
        def __iter__(self):
            while True:
                yield b" " * (1 << 20)

    wire = Wire().on(
        "GET", "/me", lambda _r: httpx.Response(200, stream=Endless(), headers={"content-type": "application/json"})
    )

    with pytest.raises(BadAnswer, match=str(MAX_ANSWER_BYTES)):
        link(wire).json("GET", "/me")


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_a_redirect_is_not_followed_by_the_token(status):
    wire = Wire().on(
        "GET", NEXT, reply(status, headers={"location": "https://evil.example/foedus/v1/projects/digits/next"})
    )

    with pytest.raises(Redirected, match="not followed"):
        take_part(wire, lambda model, settings: None)

    assert [r.url.host for r in wire.requests] == ["foedus.example"]


def test_a_model_is_fetched_from_the_server_we_know_whatever_the_task_says():
    wire = Wire()
    task = train_task(checkpoint=checkpoint() | {"href": "https://evil.example/model"})
    wire.on("GET", NEXT, reply(json=task), reply(json=FINISHED))
    wire.on("GET", "/projects/digits/checkpoints/2/model", reply(content=MODEL_BYTES))
    wire.on("POST", "/projects/digits/rounds/3/decline", reply(json={}))

    take_part(wire, lambda model, settings: 1 / 0)

    assert {r.url.host for r in wire.requests} == {"foedus.example"}


@pytest.mark.parametrize(
    "data",
    [safetensors.encode(Arrays({"w": [float("nan")]})), b"garbage", b"\xff" * 8 + b"{}"],
)
def test_a_model_that_is_none_declines_the_round(data):
    wire = Wire()
    wire.on("GET", NEXT, reply(json=train_task(data=data)), reply(json=FINISHED))
    wire.on("GET", "/projects/digits/checkpoints/2/model", reply(content=data))
    wire.on("POST", "/projects/digits/rounds/3/decline", reply(json={}))
    trained = []

    outcome = take_part(wire, lambda model, settings: trained.append(1))

    assert (trained, outcome.declined) == ([], 1)


@pytest.mark.parametrize(
    "task",
    [
        [],
        {"task": 7},
        {"task": "train"},
        {"task": "train", "round": 3},
        {"task": "train", "round": "3", "checkpoint": checkpoint()},
        {"task": "train", "round": 3, "checkpoint": {"number": 2}},
        {"task": "evaluate", "checkpoint": None},
        {"task": "wait", "reasons": [1]},
        {"task": "dance"},
    ],
)
def test_a_task_that_makes_no_sense_is_asked_for_again(task):
    wire = Wire().on("GET", NEXT, reply(json=task), reply(json=FINISHED | {"new": "field"}))

    assert take_part(wire, lambda model, settings: Update({}, 1)).finished
