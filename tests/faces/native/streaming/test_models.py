"""Checkpoints go out whole, in ranges, or not at all to those who have them."""

import hashlib
import math

import pytest
from tests import factories
from tests.faces.native.streaming.conftest import content_digest, is_refusal

MODEL = factories.body(factories.model())
ETAG = f'"{hashlib.sha256(MODEL).hexdigest()}"'


@pytest.fixture
def fetch(plane, study, acme):
    def fetched(number="0", method="GET", project="study", **headers):
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        return plane.call(
            method, f"/projects/{project}/checkpoints/{number}/model",
            headers={"Authorization": f"Bearer {acme.token}", **sent},
        )  # fmt: skip

    return fetched


def test_a_model_comes_whole_with_its_digest_as_tag(fetch):
    answer = fetch("latest")

    assert (answer.status_code, answer.content) == (200, MODEL)
    assert answer.headers["etag"] == ETAG
    assert answer.headers["accept-ranges"] == "bytes"


def test_who_has_the_model_already_is_told_so(fetch):
    for tags in (ETAG, f"W/{ETAG}", f'"other", {ETAG}', "*"):
        answer = fetch(if_none_match=tags)
        assert (answer.status_code, answer.content, answer.headers["etag"]) == (304, b"", ETAG)

    assert fetch(if_none_match=ETAG[:-2] + '"').status_code == 200


def test_a_range_of_bytes_is_given_as_such(fetch):
    ranges = {
        "bytes=0-0": (0, 1),
        "bytes=10-19": (10, 20),
        "bytes=10-": (10, len(MODEL)),
        "bytes=-5": (len(MODEL) - 5, len(MODEL)),
        f"bytes=5-{10**12}": (5, len(MODEL)),
        f"bytes=-{10**12}": (0, len(MODEL)),
        "bytes=0-": (0, len(MODEL)),
        "Bytes = 3 - 4": (3, 5),
    }

    for asked, (start, stop) in ranges.items():
        answer = fetch(range=asked)

        assert (answer.status_code, answer.content) == (206, MODEL[start:stop]), asked
        assert answer.headers["content-range"] == f"bytes {start}-{stop - 1}/{len(MODEL)}"
        assert answer.headers["content-length"] == str(stop - start)


def test_a_range_that_is_not_there_is_refused(fetch):
    ranges = [f"{len(MODEL)}-", f"{10**17}-", "5-4", "-0", "-", "", "a-b", "1", "--5", "1-2-3", f"{'9' * 5000}-"]

    answers = {asked: fetch(range=f"bytes={asked}") for asked in ranges}

    assert [asked for asked, answer in answers.items() if not is_refusal(answer, 416, "range_not_satisfiable")] == []


def test_ranges_of_other_kinds_are_answered_with_everything(fetch):
    for asked in ("items=0-5", "bytes=0-1,3-4", "nonsense"):
        answer = fetch(range=asked)

        assert (answer.status_code, answer.content) == (200, MODEL), asked
        assert "content-range" not in answer.headers


def test_a_range_of_another_model_is_answered_with_everything(fetch):
    for condition in ('"another"', f"W/{ETAG}", "Wed, 21 Oct 2015 07:28:00 GMT"):
        assert fetch(range="bytes=0-4", if_range=condition).status_code == 200, condition

    assert fetch(range="bytes=0-4", if_range=ETAG).status_code == 206


def test_head_tells_the_size_and_sends_nothing(fetch):
    answer = fetch(method="HEAD", range="bytes=0-4")

    assert (answer.status_code, answer.content) == (200, b"")
    assert answer.headers["content-length"] == str(len(MODEL))


def test_models_that_are_not_there_are_refused(fetch):
    numbers = ("1", "-1", "newest", "0x0", "9" * 30, "9" * 5000, "..%2f0", "0%00")

    answers = {number: fetch(number) for number in numbers}

    assert {answer.headers["content-type"] for answer in answers.values()} == {"application/problem+json"}
    assert {answer.status_code for answer in answers.values()} == {404, 422}


def test_digits_of_other_scripts_are_no_numbers(fetch):
    zero = "\N{ARABIC-INDIC DIGIT ZERO}"

    assert is_refusal(fetch(zero), 422, "invalid")
    assert is_refusal(fetch(range=f"bytes={zero}-{zero}".encode()), 416, "range_not_satisfiable")


def test_strangers_do_not_learn_that_there_is_a_model(plane, study, rival):
    headers = {"Authorization": f"Bearer {rival.token}"}

    assert is_refusal(plane.call("GET", "/projects/study/checkpoints/0/model", headers=headers), 404, "not_found")


def test_a_first_model_that_is_none_is_refused_and_leaves_nothing(plane, acme, traces):
    acme.post("projects", {"key": "study"})
    before = traces()

    answers = [put_model(plane, acme, body) for body in (b"", MODEL[:-1], factories.body(factories.model(math.nan)))]

    assert all(is_refusal(answer, 422, "invalid") for answer in answers)
    assert traces() == before


def test_only_one_first_model_is_taken(plane, acme, traces):
    acme.post("projects", {"key": "study"})
    assert put_model(plane, acme, MODEL).status_code == 201
    before = traces()

    assert put_model(plane, acme, MODEL).status_code == 200
    assert is_refusal(put_model(plane, acme, factories.body(factories.model(1.0))), 409, "conflict")

    assert traces() == before


def put_model(plane, acme, body):
    headers = {
        "Authorization": f"Bearer {acme.token}",
        "Content-Type": "application/vnd.safetensors",
        "Content-Digest": content_digest(body),
    }
    return plane.call("PUT", "/projects/study/model", content=body, headers=headers)
