from datetime import UTC, datetime

import pytest

from foedus.core import errors
from foedus.sdk.problems import Redirected, error_for, retry_after_s

NOW = datetime(2026, 1, 1, tzinfo=UTC)
JSON = {"content-type": "application/problem+json"}


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        ("malformed", errors.Invalid),
        ("invalid", errors.Invalid),
        ("no_updates", errors.NoUpdates),
        ("too_large", errors.TooLarge),
        ("unauthenticated", errors.Unauthenticated),
        ("forbidden", errors.Forbidden),
        ("quota_exceeded", errors.QuotaExceeded),
        ("not_found", errors.NotFound),
        ("conflict", errors.Conflict),
        ("replayed", errors.Replayed),
        ("late", errors.Late),
        ("unavailable", errors.Unavailable),
    ],
)
def test_a_problems_code_decides_the_error(code, kind):
    body = b'{"code": "%s", "detail": "Tensor w is missing.", "context": {"tensor": "w"}}' % code.encode()

    error = error_for(400, JSON, body, now=NOW)

    assert type(error) is kind
    assert error.message == "Tensor w is missing."
    assert error.context["tensor"] == "w"


def test_every_error_of_the_core_has_a_code_here():
    kinds = [k for k in vars(errors).values() if isinstance(k, type) and issubclass(k, errors.PlatformError)]

    found = {kind: type(error_for(418, JSON, b'{"code": "%s"}' % kind().code.encode())) for kind in kinds}

    assert all(found[kind] is kind for kind in kinds if kind is not errors.PlatformError)


@pytest.mark.parametrize(
    ("status", "kind"),
    [(401, errors.Unauthenticated), (404, errors.NotFound), (409, errors.Conflict), (500, errors.Unavailable),
     (502, errors.Unavailable), (429, errors.QuotaExceeded), (405, errors.Invalid)],
)  # fmt: skip
def test_a_page_of_html_is_known_by_its_status_alone(status, kind):
    error = error_for(status, {"content-type": "text/html"}, b"<html>Bad Gateway</html>", now=NOW)

    assert type(error) is kind
    assert "text/html" in error.message


@pytest.mark.parametrize(
    "body", [b"", b"[]", b"{", b'{"code": ["late"]}', b'{"detail": 7, "context": [1]}', b"[" * 9999, b"\xff"]
)
def test_a_broken_problem_is_known_by_its_status_alone(body):
    assert type(error_for(403, JSON, body, now=NOW)) is errors.Forbidden


def test_a_context_cannot_name_what_python_names():
    error = error_for(409, JSON, b'{"context": {"self": 1, "message": 2, "retry_after_s": "x", "status": 9}}', now=NOW)

    assert error.context == {"self": 1, "message": 2, "status": 409}


def test_a_redirect_is_an_error_that_names_where_it_leads():
    error = error_for(307, {"location": "https://evil.example/"}, b"", now=NOW)

    assert isinstance(error, Redirected)
    assert error.context["location"] == "https://evil.example/"


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("3", 3.0), (" 12 ", 12.0), ("Thu, 01 Jan 2026 00:01:00 GMT", 60.0), ("Thu, 01 Jan 2015 00:00:00 GMT", 0.0),
     ("99999999999999", 3600.0), ("Fri, 01 Jan 2100 00:00:00 GMT", 3600.0), ("soon", None), ("-5", None), (None, None)],
)  # fmt: skip
def test_retry_after_comes_as_seconds_or_as_a_date_and_is_bounded(text, seconds):
    assert retry_after_s(text, NOW) == seconds
