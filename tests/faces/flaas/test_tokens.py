"""Logins: who gets in, for how long, and what becomes of used and stolen tokens."""

from datetime import timedelta

import jwt
import pytest
from django.utils import timezone
from tests.faces.flaas.conftest import Api
from tests.fleets import PASSWORD

from foedus.records.accounts.models import User
from foedus.records.fleet.models import RefreshToken
from foedus.services.fleet import tokens
from foedus.services.fleet.accounts import create_account

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def device(clock):
    return create_account("anna", PASSWORD, now=clock())


@pytest.fixture
def phone(client, device):
    return Api(client).log_in("anna")


def claims(token):
    return jwt.decode(token, options={"verify_signature": False})


def signed(ports, **changes):
    now = int(timezone.now().timestamp())
    fields = {"token_type": "access", "exp": now + 60, "iat": now, "jti": "0" * 64, "user_id": 1, **changes}
    return jwt.encode(fields, ports.secrets.get_or_create(tokens.KEY_NAME, 48).reveal(), "HS256")


@pytest.mark.parametrize("form", [{"data": 1}, {"json": 1}, {"files": 1}], ids=["form", "json", "multipart"])
def test_a_login_takes_forms_and_json(api, device, form):
    (kind,) = form
    fields = {"username": "anna", "password": PASSWORD}
    body = {name: (None, value) for name, value in fields.items()} if kind == "files" else fields

    answer = api.post("token/", **{kind: body})

    assert answer.status_code == 200
    assert set(answer.json()) == {"access", "refresh"}


def test_tokens_have_the_claims_and_the_lifetimes_that_clients_know(phone, device):
    access, refresh = claims(phone.token), claims(phone.refresh_token)

    assert set(access) == set(refresh) == {"token_type", "exp", "iat", "jti", "user_id"}
    assert (access["token_type"], access["exp"] - access["iat"]) == ("access", 2_592_000)
    assert (refresh["token_type"], refresh["exp"] - refresh["iat"]) == ("refresh", 5_184_000)
    assert access["user_id"] == device.user_id
    assert jwt.get_unverified_header(phone.token)["alg"] == "HS256"


@pytest.mark.parametrize(
    ("fields", "complaints"),
    [
        ({}, {"username": ["This field is required."], "password": ["This field is required."]}),
        ({"username": "anna", "password": ""}, {"password": ["This field may not be blank."]}),
        ({"username": None, "password": "x"}, {"username": ["This field may not be null."]}),
        ({"username": "a\0", "password": "x"}, {"username": ["Null characters are not allowed."]}),
        ({"username": [], "password": "x"}, {"username": ["Not a valid string."]}),
    ],
)
def test_a_login_names_the_fields_that_are_wrong(api, fields, complaints):
    answer = api.post("token/", fields)

    assert (answer.status_code, answer.json()) == (400, complaints)


@pytest.mark.parametrize(("username", "password"), [("anna", "wrong"), ("nobody", PASSWORD), ("gone", PASSWORD)])
def test_a_wrong_pair_and_an_inactive_account_are_answered_alike(api, device, clock, username, password):
    create_account("gone", PASSWORD, now=clock())
    User.objects.filter(username="gone").update(is_active=False)

    answer = api.post("token/", data={"username": username, "password": password})

    assert answer.status_code == 401
    assert answer.json() == {"detail": "No active account found with the given credentials"}
    assert answer.headers["www-authenticate"] == 'Bearer realm="api"'


def test_wrong_passwords_are_soon_not_even_looked_at(api, device):
    for _ in range(10):
        assert api.post("token/", data={"username": "anna", "password": "wrong"}).status_code == 401

    answer = api.post("token/", data={"username": "anna", "password": PASSWORD})

    assert answer.status_code == 429
    assert 0 < int(answer.headers["retry-after"]) <= 300
    assert api.post("token/", data={"username": "bert", "password": "x"}).status_code == 401


def test_both_token_calls_pass_over_a_stale_token_in_the_header(client, device):
    stale = Api(client, "stale")

    logged_in = stale.post("token/", data={"username": "anna", "password": PASSWORD})

    assert logged_in.status_code == 200
    assert stale.post("token/refresh/", {"refresh": logged_in.json()["refresh"]}).status_code == 200


def test_a_refresh_gives_a_new_pair(phone):
    answer = phone.post("token/refresh/", data={"refresh": phone.refresh_token})

    assert answer.status_code == 200
    assert answer.json()["refresh"] != phone.refresh_token
    assert Api(phone.client, answer.json()["access"]).get("project/").status_code == 200


@pytest.mark.parametrize("token", ["", "x", "a.b.c", "access", "expired", "forged", "x" * 5000, "gone"])
def test_a_bad_refresh_token_is_400_and_never_401(phone, ports, token):
    made = {
        "access": phone.token,
        "expired": signed(ports, token_type="refresh", exp=1),
        "forged": jwt.encode(
            {**claims(phone.refresh_token), "user_id": 1}, "another key of thirty-two bytes!", "HS256"
        ),
        "gone": signed(ports, token_type="refresh"),
    }

    answer = phone.post("token/refresh/", {"refresh": made.get(token, token)})

    assert answer.status_code == 400


def test_an_account_that_was_closed_neither_calls_nor_refreshes(phone):
    User.objects.update(is_active=False)

    answer = phone.get("project/")

    assert (answer.status_code, answer.json()) == (401, {"detail": "User is inactive", "code": "user_inactive"})
    assert phone.post("token/refresh/", {"refresh": phone.refresh_token}).status_code == 400


def test_a_deleted_user_is_not_found(phone, device):
    RefreshToken.objects.all().delete()
    device.delete()
    User.objects.all().delete()

    assert phone.get("project/").json() == {"detail": "User not found", "code": "user_not_found"}


def test_a_refresh_whose_answer_was_lost_may_be_repeated_for_a_while(phone):
    first = phone.post("token/refresh/", {"refresh": phone.refresh_token})

    again = phone.post("token/refresh/", {"refresh": phone.refresh_token})

    assert (first.status_code, again.status_code) == (200, 200)


def test_a_used_refresh_token_that_turns_up_later_ends_its_whole_family(phone):
    stolen = phone.refresh_token
    newer = phone.post("token/refresh/", {"refresh": stolen}).json()
    RefreshToken.objects.filter(used_at__isnull=False).update(used_at=timezone.now() - timedelta(hours=2))

    answer = phone.post("token/refresh/", {"refresh": stolen})

    assert answer.status_code == 400
    assert phone.post("token/refresh/", {"refresh": newer["refresh"]}).status_code == 400
    assert Api(phone.client, newer["access"]).get("project/").status_code == 401
    assert Api(phone.client).log_in("anna").get("project/").status_code == 200


def test_an_operator_can_end_every_login_of_a_user(phone, device):
    tokens.revoke_all(device.user, now=timezone.now())

    assert phone.get("project/").status_code == 401
    assert phone.post("token/refresh/", {"refresh": phone.refresh_token}).status_code == 400


def test_refreshing_at_once_from_everywhere_logs_nobody_out(phone, in_threads):
    answers = in_threads(
        *(lambda: phone.post("token/refresh/", {"refresh": phone.refresh_token}).status_code for _ in range(6))
    )

    assert answers == [200] * 6


@pytest.mark.parametrize("header", [None, "", "Basic x", "bearer x", "Token x"])
def test_without_a_bearer_token_nobody_is_there(client, header):
    answer = Api(client).get("project/", headers={"Authorization": header} if header is not None else {})

    assert answer.status_code == 401
    assert answer.json() == {"detail": "Authentication credentials were not provided."}
    assert answer.headers["www-authenticate"] == 'Bearer realm="api"'


@pytest.mark.parametrize("path", ["project/", "project/1/get-model/0/", "get-samples/IID/0/"])
def test_a_bad_token_is_explained_as_clients_know_it(client, ports, device, phone, path):
    wrong_type = {"token_class": "AccessToken", "token_type": "access", "message": "Token has wrong type"}
    invalid = {**wrong_type, "message": "Token is invalid or expired"}
    detail = "Given token not valid for any token type"

    for token, message in (
        ("x", invalid),
        (signed(ports, user_id=device.user_id, exp=1), invalid),
        (jwt.encode({"user_id": 1}, None, "none"), invalid),
        (phone.refresh_token, wrong_type),
    ):
        answer = Api(client, token).get(path)
        assert answer.status_code == 401
        assert answer.json() == {"detail": detail, "code": "token_not_valid", "messages": [message]}


def test_a_header_of_three_words_is_none(client):
    answer = Api(client, "one two").get("project/")

    assert answer.json()["code"] == "bad_authorization_header"
