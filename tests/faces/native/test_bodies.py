import gzip
import json
import tracemalloc

import pytest
from tests.faces.native.conftest import Api, is_problem

from foedus.core.errors import TooLarge
from foedus.faces.native.parsing import MAX_BODY_BYTES, _unpacked
from foedus.records.learning.models import Project


def nested(depth):
    """A project whose settings make the body so many objects deep."""
    return b'{"key": "p", "settings": ' + b'{"a": ' * (depth - 1) + b"1" + b"}" * (depth - 1) + b"}"


@pytest.mark.parametrize(
    "body",
    [
        b"{",
        b"{'key': 'p'}",
        b'{"key": "p"} x',
        b'{"key": "p", "key": "q"}',
        b'{"key": "p", "settings": {"a": 1, "a": 2}}',
        b'{"key": "p", "settings": {"a": NaN}}',
        b'{"key": "p", "settings": {"a": -Infinity}}',
        b'{"key": "p", "settings": {"a": 1e999}}',
        b'{"key": "p", "settings": {"a": [[-1e999]]}}',
        b'{"key": "p", "settings": {"a": ' + b"9" * 5000 + b"}}",
        b'{"key": "p", "title": "\\u0000"}',
        b'{"key": "p", "settings": {"\\ud800": 1}}',
        b'{"key": "p", "settings": ["\\udfff"]}',
        b'{"key": "p", "title": "\xff"}',
        b"\xff\xfe{\x00}\x00",
        b"[" * 100_000,
        nested(33),
        b"\x80\x04\x95",
    ],
)
def test_what_is_not_json_that_everybody_can_hold_is_malformed(acme, body):
    assert is_problem(acme.post("projects", data=body), 400, "malformed")
    assert not Project.objects.exists()


def test_json_may_nest_as_deep_as_the_contract_says(acme):
    assert acme.post("projects", data=nested(32)).status_code == 201


@pytest.mark.parametrize("body", [b"null", b"[]", b"7", b'"key"', b'[{"key": "p"}]'])
def test_json_that_is_no_object_is_invalid(acme, body):
    assert is_problem(acme.post("projects", data=body), 422, "invalid")


def test_a_missing_body_is_invalid(acme):
    assert is_problem(acme.post("projects"), 422, "invalid")


@pytest.mark.parametrize("path", ["projects/study/enrolment-keys"])
def test_a_body_of_which_everything_is_optional_may_be_missing(acme, study, path):
    assert acme.post(path).status_code == 201


@pytest.mark.parametrize(
    "content_type", ["application/json", "Application/JSON; charset=UTF-8", 'application/json; charset="utf-8"']
)
def test_json_is_taken_under_its_name(acme, content_type):
    assert acme.post("projects", {"key": "p"}, content_type=content_type).status_code == 201


@pytest.mark.parametrize(
    "content_type",
    ["", "text/plain", "application/json; charset=utf-16", "application/x-www-form-urlencoded", "multipart/form-data"],
)
def test_json_is_not_taken_under_another_name(acme, content_type):
    assert is_problem(acme.post("projects", {"key": "p"}, content_type=content_type), 415, "unsupported_media_type")


def test_a_body_above_a_mebibyte_is_too_large(acme):
    body = json.dumps({"key": "p", "settings": {"a": "x" * MAX_BODY_BYTES}}).encode()

    assert is_problem(acme.post("projects", data=body), 413, "too_large")


def test_a_gzipped_body_is_unpacked(acme):
    answer = acme.post("projects", data=gzip.compress(b'{"key": "p"}'), **{"Content-Encoding": "gzip"})

    assert answer.status_code == 201


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        (gzip.compress(b" " * (MAX_BODY_BYTES + 1)), 413, "too_large"),
        (gzip.compress(b"0" * (200 << 20)), 413, "too_large"),
        (gzip.compress(b'{"key": "p"}')[:-6], 400, "malformed"),
        (gzip.compress(b'{"key": "p"}') + b"more", 400, "malformed"),
        (b'{"key": "p"}', 400, "malformed"),
    ],
    ids=["a byte too many", "a bomb", "cut", "followed", "plain"],
)
def test_gzip_is_not_trusted(acme, body, status, code):
    assert is_problem(acme.post("projects", data=body, **{"Content-Encoding": "gzip"}), status, code)


def test_a_bomb_does_not_go_off_in_memory():
    bomb = gzip.compress(b"0" * (200 << 20))

    tracemalloc.start()
    with pytest.raises(TooLarge):
        _unpacked(bomb, "gzip")
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert peak < 8 * MAX_BODY_BYTES


@pytest.mark.parametrize("encoding", ["br", "deflate", "gzip, gzip"])
def test_other_compressions_are_refused(acme, encoding):
    answer = acme.post("projects", {"key": "p"}, **{"Content-Encoding": encoding})

    assert is_problem(answer, 415, "unsupported_media_type")


def test_a_body_without_a_length_is_refused(acme):
    answer = Api(acme.token).post("projects", **{"Transfer-Encoding": "chunked", "Content-Length": ""})

    assert is_problem(answer, 411, "length_required")


@pytest.mark.parametrize(
    ("method", "path", "allow"),
    [
        ("PUT", "projects", "GET, POST"),
        ("DELETE", "me", "GET"),
        ("GET", "enrol", "POST"),
        ("PATCH", "projects/study/rounds/1/update", "POST, PUT"),
        ("PUT", "projects/study/uploads/" + "0" * 32, "GET, PATCH"),
        ("POST", "projects/study/model", "PUT"),
        ("POST", "projects/study/next", "GET"),
        ("DELETE", "projects/study/checkpoints/latest/model", "GET, HEAD"),
        ("POST", "openapi.json", "GET, HEAD"),
    ],
)
def test_a_method_that_is_not_there_is_told_which_are(acme, method, path, allow):
    answer = acme.call(method, path)

    assert is_problem(answer, 405, "method_not_allowed")
    assert answer.headers["Allow"] == allow


@pytest.mark.parametrize(
    "path",
    [
        "nosuch",
        "projects/",
        "projects/Study",
        "projects/..%2fstudy",
        "projects/study%00",
        "projects/study/rounds/-1",
        "projects/study/rounds/1e3",
        "projects/study/rounds/9999999999",
        "projects/study/rounds/٣",
        "projects/study/checkpoints/first",
        "projects/study/uploads/../../etc/passwd",
        "projects/study/uploads/xyz",
        "admin/",
    ],
)
def test_an_address_that_is_none_is_a_problem_and_not_a_page(acme, path):
    assert is_problem(acme.get(path), 404, "not_found")


def test_the_root_says_what_this_is(anonymous):
    about = anonymous.get("")

    assert about.status_code == 200
    assert about.json()["service"] == "foedus"
    assert anonymous.get(about.json()["documentation"].removeprefix("/foedus/v1/")).status_code == 200
