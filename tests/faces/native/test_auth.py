from datetime import timedelta

import pytest
from django.utils import timezone
from tests.faces.native.conftest import Api, is_problem

from foedus.faces.native.limits import LIMITS
from foedus.records.accounts.models import Credential, User


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER", "BeArEr "])
def test_the_scheme_is_spelt_as_one_likes(acme, scheme):
    answer = Api(Authorization=f"{scheme} {acme.token}").get("me")

    assert answer.json() == {
        "kind": "operator",
        "name": acme.actor.name,
        "organisation": "acme",
        "projects": [],
    }


@pytest.mark.parametrize(
    "header",
    [
        "", "Bearer", "Bearer ", "Basic dXNlcjpwYXNz", "Bearer a b", "Token {token}", "Bearer,{token}",
        "Bearer {token}x", "Bearer x{token}", "Bearer \xff\xfe", "Bearer " + "x" * 5000,
    ],
)  # fmt: skip
def test_anything_but_a_known_token_is_refused(acme, header):
    answer = Api(Authorization=header.format(token=acme.token)).get("me")

    assert is_problem(answer, 401, "unauthenticated")
    assert answer.headers["WWW-Authenticate"] == "Bearer"
    assert acme.token not in answer.content.decode()


def test_a_token_is_not_taken_from_the_query(acme, anonymous):
    answers = [anonymous.get(f"me?{word}={acme.token}").status_code for word in ("token", "access_token")]

    assert set(answers) <= {401, 422}


def test_a_token_ends_when_it_expires(acme):
    token = acme.post("credentials", {"name": "short", "expires_in_s": 60}).json()["token"]
    assert Api(token).get("me").status_code == 200

    Credential.objects.filter(name="short").update(expires_at=timezone.now() - timedelta(seconds=1))

    assert is_problem(Api(token).get("me"), 401, "unauthenticated")


def test_a_token_ends_when_it_is_revoked(acme):
    made = acme.post("credentials", {"name": "lost"}).json()

    revoked = [acme.delete(f"credentials/{made['id']}").status_code for _ in range(2)]

    assert revoked == [204, 204]
    assert is_problem(Api(made["token"]).get("me"), 401, "unauthenticated")
    assert "lost" not in [item["name"] for item in acme.get("credentials").json()["items"]]


def test_the_token_of_one_who_left_opens_nothing(acme):
    User.objects.filter(pk=acme.actor.id).update(is_active=False)

    assert is_problem(acme.get("me"), 401, "unauthenticated")


def test_an_enrolment_key_is_no_token(study):
    assert is_problem(Api(study.key_for()).get("me"), 401, "unauthenticated")


def test_a_token_is_shown_once_and_kept_as_a_hash(acme):
    made = acme.post("credentials", {"name": "x", "expires_in_s": 3600}).json()

    listed = acme.get("credentials").content.decode() + acme.get("audit").content.decode()

    assert made["token"].startswith("fop_")
    assert made["token"] not in listed
    assert not Credential.objects.filter(token_hash__contains=made["token"]).exists()
    assert "token_hash" not in listed


@pytest.mark.parametrize(
    ("fields", "path"),
    [
        ({}, "name"),
        ({"name": ""}, "name"),
        ({"name": "  "}, "name"),
        ({"name": "a\nb"}, "name"),
        ({"name": "x", "expires_in_s": 0}, "expires_in_s"),
        ({"name": "x", "expires_in_s": 1e300}, "expires_in_s"),
        ({"name": "x", "token": "fop_mine"}, "token"),
    ],
)
def test_a_token_is_asked_for_properly(acme, fields, path):
    answer = acme.post("credentials", fields)

    assert is_problem(answer, 422, "invalid")
    assert answer.json()["context"]["field"] == path


def test_the_trail_names_who_did_what_newest_first(acme):
    acme.post("projects", {"key": "p"})
    acme.patch("projects/p", {"title": "t"})

    items = acme.get("audit?limit=2").json()["items"]

    assert [(item["verb"], item["object"]) for item in items] == [("change", "project:p"), ("create", "project:p")]
    assert items[0]["actor"] == f"operator:{acme.actor.name}"


def test_who_asks_too_often_is_told_when_to_come_again(acme, rival):
    LIMITS.configure(1)

    answers = [acme.get("me") for _ in range(3)]

    assert [answer.status_code for answer in answers] == [200, 200, 429]
    assert is_problem(answers[2], 429, "quota_exceeded")
    assert answers[2].headers["Retry-After"] == "1"
    assert rival.get("me").status_code == 200


def test_who_guesses_tokens_is_slowed_and_nobody_else_at_that_address(acme):
    LIMITS.configure(1)

    guesses = [Api(f"fop_{guess}").get("me").status_code for guess in range(4)]

    assert guesses == [401, 401, 429, 429]
    assert acme.get("me").status_code == 200


def test_enrolling_is_limited_by_address(study, anonymous):
    LIMITS.configure(1)

    answers = [anonymous.post("enrol", {"key": study.key_for()}).status_code for _ in range(3)]

    assert answers == [201, 201, 429]
