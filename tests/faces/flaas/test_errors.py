"""Every error of the core has an answer here, and none of them but a bad token makes an app log out."""

import inspect

import pytest

from foedus.core import errors
from foedus.faces.flaas.errors import STATUS, answer_to

BRANCHES = [kind for _, kind in inspect.getmembers(errors, inspect.isclass) if issubclass(kind, errors.PlatformError)]


@pytest.mark.parametrize("kind", BRANCHES, ids=lambda kind: kind.__name__)
def test_every_branch_has_a_status(kind):
    status, body, headers = answer_to(kind(), "/api/")

    assert status == next(STATUS[k] for k in kind.__mro__ if k in STATUS)
    assert body["detail"]
    assert (status == 401) == issubclass(kind, errors.Unauthenticated) == ("WWW-Authenticate" in headers)


def test_what_nobody_foresaw_says_nothing_of_the_inside():
    status, body, _ = answer_to(RuntimeError("password=hunter2"), "/api/")

    assert status == 500
    assert "hunter2" not in str(body)
