"""Updates that are wrong in any way are refused, say why, and leave nothing behind."""

import gzip
import json
import zlib
from itertools import repeat

import numpy as np
from tests import factories
from tests.faces.native.streaming.conftest import content_digest, is_refusal

from foedus.core.arrays import Arrays

GOOD = factories.body(factories.model(1.0))
LIMIT = 2 << 20  # beyond what an update of the factories' model may have


def model_with(**tensors):
    arrays = dict(factories.model(1.0).items())
    return factories.body(Arrays({**arrays, **tensors}))


def poisoned(value):
    weight = np.ones((2, 3), np.float32)
    weight[1, 2] = value
    return model_with(weight=weight)


def bomb():
    """Two GiB of zeros in two MiB, without a length by which it could be refused: a piece that refers to none before
    it, over and over. The end is missing, for whoever looks for it has unpacked everything."""
    pack = zlib.compressobj(wbits=31)
    first, piece = (pack.compress(bytes(16 << 20)) + pack.flush(zlib.Z_FULL_FLUSH) for _ in range(2))
    yield first
    yield from repeat(piece, 127)


def pieces(size):
    """A body without a length."""
    for _ in range(size >> 16):
        yield bytes(1 << 16)


def metrics(value):
    return {"headers": {"Foedus-Metrics": value if isinstance(value, str) else json.dumps(value)}}


BODIES = {
    "nothing": ({"body": b""}, 422, "invalid"),
    "noise": ({"body": b"\x07" * 500}, 422, "invalid"),
    "a pickle": ({"body": b"\x80\x04\x95\x0b\x00\x00\x00\x00\x00\x00\x00\x8c\x07builtin."}, 422, "invalid"),
    "cut short": ({"body": GOOD[:-1]}, 422, "invalid"),
    "too long": ({"body": GOOD + b"\0"}, 422, "invalid"),
    "a header beyond the file": ({"body": (10**9).to_bytes(8, "little") + GOOD[8:]}, 422, "invalid"),
    "another shape": ({"body": model_with(weight=np.ones((3, 2), np.float32))}, 422, "invalid"),
    "another dtype": ({"body": model_with(weight=np.ones((2, 3), np.float64))}, 422, "invalid"),
    "one tensor more": ({"body": model_with(more=np.ones(1, np.float32))}, 422, "invalid"),
    "one tensor less": ({"body": factories.body(Arrays({"bias": np.ones(2, np.float32)}))}, 422, "invalid"),
    "not a number": ({"body": poisoned(np.nan)}, 422, "invalid"),
    "infinite": ({"body": poisoned(-np.inf)}, 422, "invalid"),
    "the digest of something else": ({"headers": {"Content-Digest": content_digest(b"else")}}, 422, "invalid"),
    "no digest": ({"headers": {"Content-Digest": None}}, 422, "invalid"),
    "half a digest": ({"headers": {"Content-Digest": "sha-256=:AAAA:"}}, 422, "invalid"),
    "a weaker digest": ({"headers": {"Content-Digest": "md5=:1B2M2Y8AsgTpgAmY7PhCfg==:"}}, 422, "invalid"),
    "another type": ({"headers": {"Content-Type": "application/json"}}, 415, "unsupported_media_type"),
    "no type": ({"headers": {"Content-Type": None}}, 415, "unsupported_media_type"),
    "another coding": ({"headers": {"Content-Encoding": "br"}}, 415, "unsupported_media_type"),
    "two codings": ({"headers": {"Content-Encoding": "gzip, gzip"}}, 415, "unsupported_media_type"),
    "gzip that is none": ({"headers": {"Content-Encoding": "gzip"}}, 400, "malformed"),
    "half of a gzip": (
        {"headers": {"Content-Encoding": "gzip"}, "content": gzip.compress(GOOD)[:-4]}, 400, "malformed",
    ),
    "something behind a gzip": (
        {"headers": {"Content-Encoding": "gzip"}, "content": gzip.compress(GOOD) + b"more"}, 400, "malformed",
    ),
    "a gzip bomb": ({"headers": {"Content-Encoding": "gzip"}, "content": bomb()}, 413, "too_large"),
    "ten gigabytes announced": ({"headers": {"Content-Length": str(10 << 30)}}, 413, "too_large"),
    "a length beyond all integers": ({"headers": {"Content-Length": "9" * 5000}}, 413, "too_large"),
    "more than announced": ({"headers": {"Content-Length": str(len(GOOD) - 8)}}, 400, "malformed"),
    "less than announced": ({"headers": {"Content-Length": str(len(GOOD) + 8)}}, 400, "malformed"),
    "pieces without end": ({"content": pieces(LIMIT)}, 413, "too_large"),
}  # fmt: skip

WORDS = {
    "no weight": ({"examples": None}, 422, "invalid"),
    "a weight of nothing": ({"examples": "0"}, 422, "invalid"),
    "a negative weight": ({"examples": "-1"}, 422, "invalid"),
    "an infinite weight": ({"examples": "inf"}, 422, "invalid"),
    "a weight that is no number": ({"examples": "nan"}, 422, "invalid"),
    "a word as weight": ({"examples": "many"}, 422, "invalid"),
    "too much weight": ({"examples": "1e13"}, 422, "invalid"),
    "metrics that are no JSON": (metrics("{"), 422, "invalid"),
    "metrics in a list": (metrics([1]), 422, "invalid"),
    "metrics that are not finite": (metrics('{"loss": NaN}'), 422, "invalid"),
    "metrics that become infinite": (metrics('{"loss": 1e999}'), 422, "invalid"),
    "metrics beyond all floats": (metrics({"loss": 10**400}), 422, "invalid"),
    "metrics that nest": (metrics({"loss": {"mean": 1}}), 422, "invalid"),
    "metrics that nest deeply": (metrics("[" * 4000), 422, "invalid"),
    "metrics that are words": (metrics({"loss": "low"}), 422, "invalid"),
    "metrics that are truths": (metrics({"loss": True}), 422, "invalid"),
    "metrics without a name": (metrics({"": 1}), 422, "invalid"),
    "metrics under a name that breaks lines": (metrics({"a\r\nb": 1}), 422, "invalid"),
    "metrics under half a character": (metrics('{"\\ud800": 1}'), 422, "invalid"),
    "metrics under a long name": (metrics({"a" * 101: 1}), 422, "invalid"),
    "too many metrics": (metrics({str(i): i for i in range(65)}), 422, "invalid"),
    "more metrics than a header holds": (metrics({"a": 1} | {"b" * 4100: 1}), 422, "invalid"),
}

ADDRESSES = {
    "no such project": ({"project": "nowhere"}, 404, "not_found"),
    "a project of capitals": ({"project": "STUDY"}, 404, "not_found"),
    "a project outside": ({"project": "..%2f..%2fetc"}, 404, "not_found"),
    "a project with an end": ({"project": "study%00"}, 404, "not_found"),
    "a project with a line": ({"project": "study%0d%0aX-A:%20b"}, 404, "not_found"),
    "a project without end": ({"project": "s" * 5000}, 404, "not_found"),
    "a round to come": ({"number": "2"}, 404, "not_found"),
    "a round that cannot be": ({"number": "9" * 30}, 404, "not_found"),
    "a round beyond all integers": ({"number": "9" * 5000}, 404, "not_found"),
    "half a round": ({"number": "1.5"}, 404, "not_found"),
    "a negative round": ({"number": "-1"}, 404, "not_found"),
    "a round in other digits": ({"number": "%D9%A1"}, 404, "not_found"),
}

TOKENS = {
    "no token": ({"headers": {"Authorization": None}}, 401, "unauthenticated"),
    "an unknown token": ({"headers": {"Authorization": "Bearer fpa_unknown"}}, 401, "unauthenticated"),
    "an endless token": ({"headers": {"Authorization": "Bearer " + "a" * 5000}}, 401, "unauthenticated"),
    "a token of another kind": ({"headers": {"Authorization": "Basic YTpi"}}, 401, "unauthenticated"),
    "a token in other letters": ({"headers": {"Authorization": "Bearer ü".encode("latin-1")}}, 401, "unauthenticated"),
}


def refusals(offer, participant, cases):
    """Those of the cases that were answered in another way, by name."""
    answers = {name: (offer(participant, **fields), status, code) for name, (fields, status, code) in cases.items()}
    return {
        name: (answer.status_code, answer.text[:200])
        for name, (answer, *expected) in answers.items()
        if not is_refusal(answer, *expected)
    }


def test_bodies_that_are_no_update_of_this_model_are_refused(offer, training, traces):
    before = traces()

    assert refusals(offer, training[0], BODIES) == {}

    assert traces() == before
    assert offer(training[0]).status_code == 201


def test_words_about_an_update_that_make_no_sense_are_refused(offer, training, traces):
    before = traces()

    assert refusals(offer, training[0], WORDS) == {}

    assert traces() == before
    assert offer(training[0]).status_code == 201


def test_addresses_and_tokens_of_strangers_are_refused(offer, training, traces):
    before = traces()

    assert refusals(offer, training[0], ADDRESSES | TOKENS) == {}

    assert traces() == before
    assert offer(training[0]).status_code == 201


def test_only_who_was_invited_may_hand_in(offer, training, join, acme, rival, traces):
    uninvited = join("uninvited")
    before = traces()

    assert is_refusal(offer(uninvited), 403, "forbidden")
    assert is_refusal(offer(acme), 403, "forbidden")
    assert is_refusal(offer(rival), 404, "not_found")

    assert traces() == before


def test_who_was_removed_is_a_stranger(offer, training, acme, traces):
    assert acme.delete(f"projects/study/participants/{training[0].id}").status_code == 204
    before = traces()

    answer = offer(training[0])

    assert is_refusal(answer, 401, "unauthenticated")
    assert traces() == before


def test_what_is_no_safetensors_at_all_is_called_so(offer, training):
    answers = [offer(training[0], body) for body in (b"\x07" * 500, b"", b"\x04" + bytes(7) + b"text")]

    assert all("this is not a safetensors file" in answer.json()["detail"] for answer in answers)


def test_the_same_bytes_with_other_examples_or_metrics_are_refused(offer, training, traces):
    assert offer(training[0], headers={"Foedus-Metrics": '{"loss": 1}'}).status_code == 201
    before = traces()

    same = offer(training[0], headers={"Foedus-Metrics": '{"loss": 1.0}'})
    others = [
        offer(training[0], examples="3", headers={"Foedus-Metrics": '{"loss": 1}'}),
        offer(training[0], headers={"Foedus-Metrics": '{"loss": 2}'}),
        offer(training[0]),
    ]

    assert same.status_code == 200
    assert all(is_refusal(answer, 409, "replayed") for answer in others)
    assert traces() == before


def test_other_content_for_the_same_round_is_refused_and_the_first_stays(offer, training, traces):
    receipt = offer(training[0])
    before = traces()

    other = offer(training[0], factories.body(factories.model(2.0)))
    again = offer(training[0])

    assert is_refusal(other, 409, "replayed")
    assert (again.status_code, again.json()) == (200, receipt.json())
    assert traces() == before


def test_a_gzipped_update_counts_like_a_plain_one(offer, training):
    packed = offer(training[0], headers={"Content-Encoding": "gzip"}, content=gzip.compress(GOOD))

    plain = offer(training[0])

    assert (packed.status_code, plain.status_code) == (201, 200)
    assert packed.json() == plain.json()
