import io
from wsgiref.validate import validator

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.server.serverless.events import FORMS, balancer, bodied, content, http, rest

from foedus.core.errors import Invalid
from foedus.server.serverless.events import answer_to, call_of, environ_of, is_http


def environ(event):
    call = call_of(event)
    return environ_of(call, io.BytesIO(call.body), len(call.body))


@pytest.mark.parametrize("form", FORMS)
def test_every_form_becomes_the_same_request(form):
    seen = environ(form("POST", "/api/v1/models/3/", body={"a": 1}, headers={"content-type": "application/json"}))

    assert (seen["REQUEST_METHOD"], seen["PATH_INFO"]) == ("POST", "/api/v1/models/3/")
    assert (seen["CONTENT_TYPE"], seen["CONTENT_LENGTH"]) == ("application/json", "8")
    assert seen["wsgi.input"].read() == b'{"a": 1}'
    assert (seen["wsgi.url_scheme"], seen["SERVER_PORT"], seen["REMOTE_ADDR"]) == ("https", "443", "198.51.100.7")


@pytest.mark.parametrize("form", FORMS)
@given(body=st.binary(max_size=200))
def test_bodies_come_through_byte_for_byte_in_both_directions(form, body):
    call = call_of(form("POST", body=body))

    answer = answer_to(call, 200, [("Content-Type", "application/octet-stream")], body)

    assert call.body == body
    assert content(answer) == body


@pytest.mark.parametrize("form", FORMS)
def test_text_is_answered_as_text(form):
    answer = answer_to(call_of(form()), 200, [("Content-Type", "application/json")], '{"ä": 1}'.encode())

    assert (answer["body"], answer["isBase64Encoded"]) == ('{"ä": 1}', False)


@pytest.mark.parametrize("headers", [[("Content-Encoding", "gzip"), ("Content-Type", "text/plain")], []])
def test_what_may_not_be_text_goes_as_base64(headers):
    assert answer_to(call_of(http()), 200, headers, b"abc")["isBase64Encoded"]


@pytest.mark.parametrize(
    ("event", "path", "query"),
    [
        (balancer(path="/a%20b/%C3%A4", query={"q": "x%20y%26", "z": ""}), "/a b/ä", "q=x%20y%26&z="),
        (balancer(query={"a": ["1", "2"]}, multi=True), "/api/v1/", "a=1&a=2"),
        (rest(path="/ä/", query={"q": "x y&"}), "/ä/", "q=x+y%26"),
        (http(path="/a b/", query="q=x%20y&q=2"), "/a b/", "q=x%20y&q=2"),
    ],
)
def test_paths_and_queries_are_decoded_once(event, path, query):
    seen = environ(event)

    assert seen["PATH_INFO"].encode("latin-1").decode() == path
    assert seen["QUERY_STRING"] == query


@pytest.mark.parametrize(
    ("event", "script"), [(rest(stage="prod"), "/prod"), (http(path="/prod/x", stage="prod"), "/prod")]
)
def test_the_stage_of_a_gateway_stands_before_the_path(event, script):
    seen = environ(event)

    assert seen["SCRIPT_NAME"] == script
    assert not seen["PATH_INFO"].startswith(script)


def test_a_path_that_only_begins_like_the_stage_is_whole():
    assert environ(http(path="/production/", stage="prod"))["PATH_INFO"] == "/production/"


def test_the_balancer_itself_says_who_is_calling_and_others_are_not_believed():
    seen = environ(balancer(headers={"x-forwarded-for": "6.6.6.6, 198.51.100.7"}))

    assert seen["REMOTE_ADDR"] == "198.51.100.7"


def test_a_header_with_an_underscore_does_not_pass_for_the_one_with_a_hyphen():
    seen = environ(balancer(headers={"client_uuid": "forged", "CLIENT-UUID": "real"}))

    assert seen["HTTP_CLIENT_UUID"] == "real"
    assert "HTTP_CLIENT_UUID" not in environ(balancer(headers={"client_uuid": "forged"}))


def test_cookies_of_an_http_gateway_become_one_header():
    assert environ(http(cookies=["a=1", "b=2"]))["HTTP_COOKIE"] == "a=1; b=2"


COOKIES = [("Set-Cookie", "a=1; Path=/"), ("Set-Cookie", "b=2"), ("Vary", "Cookie"), ("Vary", "Accept")]


def test_a_balancer_with_several_values_gets_them():
    answer = answer_to(call_of(balancer(multi=True)), 404, COOKIES, b"")

    assert answer["multiValueHeaders"] == {"set-cookie": ["a=1; Path=/", "b=2"], "vary": ["Cookie", "Accept"]}
    assert answer["statusDescription"] == "404 Not Found"
    assert "headers" not in answer


def test_a_balancer_without_still_gets_every_cookie():
    headers = answer_to(call_of(balancer()), 200, COOKIES, b"")["headers"]

    assert {value for name, value in headers.items() if name.lower() == "set-cookie"} == {"a=1; Path=/", "b=2"}
    assert headers["vary"] == "Cookie, Accept"


def test_gateways_get_cookies_their_own_ways():
    assert answer_to(call_of(rest()), 200, COOKIES, b"")["multiValueHeaders"]["set-cookie"] == ["a=1; Path=/", "b=2"]
    assert answer_to(call_of(http()), 200, COOKIES, b"")["cookies"] == ["a=1; Path=/", "b=2"]


@pytest.mark.parametrize("form", FORMS)
def test_what_becomes_of_an_event_is_proper_wsgi(form):
    def app(seen, start_response):
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [seen["wsgi.input"].read(int(seen["CONTENT_LENGTH"]))]

    found = environ(form("POST", body=b"abc"))
    chunks = validator(app)(found, start)

    assert b"".join(chunks) == b"abc"
    chunks.close()


def start(status, headers, exc_info=None):
    return lambda data: None


@pytest.mark.parametrize(
    "event",
    [
        {"httpMethod": "GET"},
        {"httpMethod": "GET", "path": 7},
        {"httpMethod": "GET", "path": "/", "headers": ["x"]},
        {"requestContext": {"http": {}}},
        balancer() | {"body": "not base64!", "isBase64Encoded": True},
    ],
)
def test_an_event_that_is_no_request_is_refused(event):
    with pytest.raises(Invalid):
        call_of(event)


@pytest.mark.parametrize("event", [{}, {"detail": {"model_id": 3}}, {"requestContext": "x"}])
def test_other_events_are_not_http(event):
    assert not is_http(event)


def test_an_empty_body_is_empty():
    assert call_of(balancer() | bodied(b"")).body == b""
