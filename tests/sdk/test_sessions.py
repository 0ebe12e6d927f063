"""Taking part in a session, against one that is played here."""

import io
import struct

import httpx
import numpy as np
import pytest

from foedus.core.errors import Forbidden, Invalid, Unauthenticated, Unavailable
from foedus.sdk import take_part

URL = "http://session.test"
ID = "0" * 8 + "-0000-0000-0000-000000000000"


class Played:
    """A session of one participant: as many rounds, the answers that a test wants, and what was handed in."""

    def __init__(self, rounds, **answers):
        self.rounds, self.answers = rounds, answers
        self.results, self.asked = [], []

    def __call__(self, request):
        path = request.url.path
        self.asked.append((path.split("/")[1], request.headers.get("Authorization")))
        if (answer := self.answers.get(path.split("/")[1])) is not None:
            return answer(request)
        if path == "/rendez_vous":
            return httpx.Response(200, json={"id": ID, "ok": True})
        if path.startswith("/heartbeat/"):
            over = len(self.results) >= self.rounds
            return httpx.Response(200, json={"state": "finish" if over else "round", "round": len(self.results)})
        if path.startswith("/start_training/"):
            return httpx.Response(200, json={"ok": True, "url": "http://elsewhere.test/", "token": "ab12"})
        if request.method == "GET":
            return httpx.Response(200, content=saved(self.results[-1][1]) if self.results else b"")
        body = request.read()
        (samples,) = struct.unpack(">I", body[:4])
        self.results.append((samples, np.load(io.BytesIO(body[4:]), allow_pickle=False)))
        return httpx.Response(200, json={"result": "counted"})


def saved(weights):
    file = io.BytesIO()
    np.save(file, weights, allow_pickle=False)
    return file.getvalue()


def part(played, train=lambda weights: (weights + 1, 7), initial=(0.0, 0.5), **options):
    options = {"url": URL, "heartbeat_s": 0.01, "patience_s": 0.0, **options}
    return take_part(train, np.array(initial), transport=httpx.MockTransport(played), **options)


def test_the_first_round_begins_and_every_other_one_trains():
    played = Played(rounds=4)

    assert part(played) == 3
    assert [samples for samples, _ in played.results] == [0, 7, 7, 7]
    np.testing.assert_array_equal(played.results[-1][1], [3.0, 3.5])


def test_a_round_that_is_asked_for_again_is_trained_again():
    """Where an average failed, the round keeps its number."""
    played = Played(rounds=3, heartbeat=lambda _: httpx.Response(200, json={"state": states.pop(0), "round": 1}))
    states = ["round", "stand_by", "round", "round", "finish"]

    part(played)

    assert len(played.results) == 3


def test_who_was_taken_for_gone_joins_again():
    played = Played(rounds=9, heartbeat=lambda _: httpx.Response(200, json={"state": states.pop(0), "round": None}))
    states = ["reject", "stand_by", "finish"]

    assert part(played) == 0
    assert [path for path, _ in played.asked].count("rendez_vous") == 2


def test_a_token_is_shown_to_the_session_alone():
    played = Played(rounds=2)

    part(played, token="secret")

    assert {shown for _, shown in played.asked} == {"Bearer secret"}


@pytest.mark.parametrize(("kind", "status", "answer"), [
    (Forbidden, 200, {"id": None, "ok": False}),
    (Unauthenticated, 401, {"error_description": "show the token"}),
])  # fmt: skip
def test_who_is_not_let_in_is_told(kind, status, answer):
    with pytest.raises(kind):
        part(Played(rounds=2, rendez_vous=lambda _: httpx.Response(status, json=answer)))


@pytest.mark.parametrize("trained", [
    (np.array([np.nan, 1.0]), 7), (np.array(["a", "b"]), 7), (np.array([1.0, 1.0]), -1), (np.array([1.0]), 2**32)
])  # fmt: skip
def test_what_is_no_result_is_not_handed_in(trained):
    played = Played(rounds=2)

    with pytest.raises(Invalid):
        part(played, train=lambda _: trained)

    assert len(played.results) == 1


def test_weights_that_are_pickled_are_not_opened():
    file = io.BytesIO()
    np.save(file, np.array([{}], dtype=object), allow_pickle=True)
    pickled = httpx.Response(200, content=file.getvalue())

    with pytest.raises(Unavailable, match=r"no \.npy"):
        part(Played(rounds=2, **{ID: lambda request: pickled if request.method == "GET" else None}))


def test_weights_without_end_are_not_read():
    endless = httpx.Response(200, content=(b"\0" * 4096 for _ in range(10)))

    with pytest.raises(Unavailable, match="longer than 8192"):
        part(Played(rounds=2, **{ID: lambda _: endless}), max_weights_bytes=8192)


def test_without_a_session_nothing_begins(monkeypatch):
    monkeypatch.delenv("NEVERMINED_COORDINATOR_URL", raising=False)

    with pytest.raises(Invalid, match="NEVERMINED_COORDINATOR_URL"):
        part(Played(rounds=1), url=None)
