import importlib
import json
import pkgutil

import pytest
from django.db import OperationalError
from structlog.testing import capture_logs
from tests.faces.native.conftest import is_problem

import foedus.faces.native
import foedus.ports
from foedus.core import errors
from foedus.core.errors import PlatformError
from foedus.faces.native.errors import STATUS, problem
from foedus.ports.blobs import BlobMissing, BlobsUnavailable
from foedus.services.learning import reading

for package in (foedus.ports, foedus.faces.native):
    for module in pkgutil.walk_packages(package.__path__, package.__name__ + "."):
        importlib.import_module(module.name)


OTHER_DIALECTS = (
    "foedus.services.fleet",
    "foedus.services.aggregation",
    "foedus.services.market",
    "foedus.faces.flaas",
    "foedus.faces.fma",
    "foedus.faces.nevermined",
    "foedus.faces.symetryml",
    "foedus.faces.console",
)


def descendants(cls):
    """Its kinds of errors; those of other dialects, which another test may have imported, never get here."""
    own = [] if cls.__module__.startswith(OTHER_DIALECTS) else [cls]
    return own + [leaf for child in cls.__subclasses__() for leaf in descendants(child)]


@pytest.mark.parametrize("kind", descendants(PlatformError), ids=lambda kind: kind.__name__)
def test_every_error_has_a_status_and_says_something(kind):
    status, body, headers = problem(kind("this is wrong"))

    expected = next(STATUS[cls] for cls in kind.__mro__ if cls in STATUS)
    assert status == body["status"] == expected
    assert 400 <= status < 600
    assert body["detail"] == "this is wrong"
    assert body["title"]
    assert json.loads(json.dumps(body)) == body
    assert ("Retry-After" in headers) == (status in (429, 503))
    assert ("WWW-Authenticate" in headers) == (status == 401)


@pytest.mark.parametrize("kind", [cls for cls in vars(errors).values() if isinstance(cls, type)])
def test_every_branch_of_the_core_is_named_and_not_inherited(kind):
    assert kind is PlatformError or not issubclass(kind, PlatformError) or kind in STATUS


def test_a_leaf_answers_by_the_code_of_its_branch():
    assert problem(BlobMissing("gone"))[1]["code"] == "not_found"


def test_retry_after_rounds_up_and_is_never_zero():
    waits = [problem(errors.Unavailable("x", retry_after_s=s))[2]["Retry-After"] for s in (0, 0.5, 1.2, 60)]

    assert waits == ["1", "1", "2", "60"]


def test_what_stands_behind_the_server_stays_unsaid():
    body = problem(BlobsUnavailable("the store does not answer", key="s3://secret@host", retry_after_s=2))[1]

    assert body["context"] == {"retry_after_s": 2}


def test_what_a_client_sent_is_said_back_only_in_part():
    body = problem(errors.Invalid("x", field="y" * 10_000, found=float("nan"), of=object))[1]

    assert len(json.dumps(body, allow_nan=False)) < 1000


def test_a_database_that_does_not_answer_is_unavailable():
    status, body, headers = problem(OperationalError("could not connect to db.internal"))

    assert (status, body["code"], headers) == (503, "unavailable", {"Retry-After": "1"})
    assert "internal" not in body["detail"]


def test_what_nobody_foresaw_is_logged_and_keeps_its_secrets(acme, monkeypatch):
    def broken(actor):
        raise RuntimeError("the password is hunter2")

    monkeypatch.setattr(reading, "describe", broken)

    with capture_logs() as logs:
        answer = acme.get("me")

    assert is_problem(answer, 500, "internal")
    assert b"hunter2" not in answer.content
    (entry,) = [entry for entry in logs if entry["event"] == "request.failed"]
    assert entry["request_id"] == answer.json()["context"]["request_id"]
    assert "hunter2" in str(entry["exc_info"])


def test_a_method_that_is_not_there_is_told_which_are(acme):
    answer = acme.delete("me")

    assert answer.status_code == 405
    assert answer.json()["detail"] == "this address answers GET, not DELETE"


def test_a_number_of_thousands_of_digits_is_refused_without_advice_on_python(acme):
    answer = acme.call("POST", "projects", data=b'{"key": "a", "seed": ' + b"9" * 5000 + b"}")

    assert answer.status_code == 400
    assert "thousands of digits" in answer.json()["detail"]
    assert "sys." not in answer.content.decode()


def test_a_refusal_names_who_may(acme, study, join):
    asked = [join("a").get("projects/study/participants"), acme.post("projects/study/heartbeat", {})]

    assert [answer.status_code for answer in asked] == [403, 403]
    assert [answer.json()["detail"] for answer in asked] == [
        "only operators see single updates, scores and participants",
        "only participants of the project take tasks and hand in updates",
    ]
