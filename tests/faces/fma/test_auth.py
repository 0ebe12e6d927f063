"""Who is asking, and what proves it."""

import base64

import pytest
from django.test import Client
from django.utils import timezone
from tests import factories
from tests.faces.fma.conftest import PASSWORD, Api

from foedus.faces.fma.limits import LIMITS
from foedus.services.accounts.credentials import create_credential
from foedus.services.aggregation.tokens import renew_token, token_of
from foedus.services.learning.enrolment import Enrol, enrol

pytestmark = pytest.mark.django_db(transaction=True)


def basic(name, password):
    return {"Authorization": f"Basic {base64.b64encode(f'{name}:{password}'.encode()).decode()}"}


@pytest.fixture
def model(world):
    return world.model()


def test_a_token_is_the_same_each_time_until_it_is_renewed(world, ports, model):
    fields = {"username": "owner", "password": PASSWORD}
    first = world.anonymous.post("/api-token-auth/", fields).json()["token"]
    assert world.anonymous.post("/api-token-auth/", fields).json()["token"] == first
    assert Api(Authorization=f"Token {first}").get(f"models/{model}/").status_code == 200

    second = renew_token(ports, world.users["owner"], now=timezone.now())

    assert second != first
    assert token_of(ports, world.users["owner"], now=timezone.now()) == second
    assert Api(Authorization=f"Token {first}").get("models/").json() == {"detail": "Invalid token."}
    assert Api(Authorization=f"Token {second}").get("models/").status_code == 200


def test_any_credential_of_a_user_serves_as_a_token_and_no_participants_does(world, clock, ports, model):
    study = factories.Study.create(ports, clock)
    operator = create_credential(study.operator, "test", None, now=timezone.now())
    participant = enrol(ports, None, Enrol(key=study.key_for("a")), now=clock()).token

    assert Api(Authorization=f"Token {operator.token}").get("models/").json() == []
    assert Api(Authorization=f"Token {participant}").get("models/").status_code == 401


@pytest.mark.parametrize(
    ("fields", "answer"),
    [
        ({}, {"username": ["This field is required."], "password": ["This field is required."]}),
        (
            {"username": "owner", "password": "wrong"},
            {"non_field_errors": ["Unable to log in with provided credentials."]},
        ),
    ],
)
def test_a_token_needs_a_name_and_its_password(world, fields, answer):
    response = world.anonymous.post("/api-token-auth/", fields)

    assert response.status_code == 400
    assert response.json() == answer


def test_a_form_obtains_a_token_too(world):
    response = world.anonymous.client.post("/api-token-auth/", {"username": "owner", "password": PASSWORD})

    assert len(response.json()["token"]) == 40


@pytest.mark.parametrize(
    ("headers", "detail"),
    [
        (basic("owner", "wrong"), "Invalid username/password."),
        (basic("nobody", "wrong"), "Invalid username/password."),
        ({"Authorization": "Basic !"}, "Invalid basic header. Credentials not correctly base64 encoded."),
        ({"Authorization": f"Token {'0' * 40}"}, "Invalid token."),
        ({"Authorization": "Token x"}, "Invalid token."),
        ({"CLIENT-UUID": "x"}, '"x" is not a valid UUID.'),
        ({"CLIENT-UUID": "00000000-0000-4000-8000-000000000000"}, "Invalid UUID"),
    ],
)
def test_what_opens_nothing_says_why(world, headers, detail):
    response = Api(**headers).get("models/")

    assert response.status_code == 401
    assert response.json() == {"detail": detail}
    assert response.headers["WWW-Authenticate"] == 'Basic realm="api"'


def test_basic_beats_a_uuid_and_a_uuid_beats_a_token(world, ports, model):
    client = world.join(model)
    token = token_of(ports, world.users["owner"], now=timezone.now())

    both = Api(**world.owner.headers, **client.headers).get("models/")
    uuid_and_token = Api(Authorization=f"Token {token}", **client.headers).get("models/")

    assert (both.status_code, uuid_and_token.status_code) == (200, 403)


@pytest.mark.parametrize("spelling", [str.upper, lambda uuid: uuid.replace("-", "")])
def test_a_uuid_may_be_spelt_in_other_ways(world, model, spelling):
    client = world.join(model)

    response = Api(**{"CLIENT-UUID": spelling(client.uuid)}).get(f"models/{model}/get_latest_model/")

    assert response.json() == {}


def test_an_empty_uuid_counts_as_absent(world, model):
    response = world.anonymous.post(f"models/{model}/register_client/", **{"CLIENT-UUID": ""})

    assert response.status_code == 200


@pytest.mark.parametrize("uuid", ["x", "00000000-0000-4000-8000-000000000000"])
def test_registering_with_a_uuid_that_is_none_is_forbidden(world, model, uuid):
    assert world.anonymous.post(f"models/{model}/register_client/", **{"CLIENT-UUID": uuid}).status_code == 403


def test_sessions_need_a_csrf_token_to_change_something(world, model):
    browser = Client(enforce_csrf_checks=True)
    browser.force_login(world.users["owner"])

    assert browser.get(f"/api/v1/models/{model}/").status_code == 200
    refused = browser.patch(f"/api/v1/models/{model}/", {"name": "x"}, content_type="application/json")
    assert refused.status_code == 403
    assert refused.json()["detail"].startswith("CSRF Failed: CSRF ")

    browser.cookies["csrftoken"] = "a" * 32
    allowed = browser.patch(
        f"/api/v1/models/{model}/", {"name": "x"}, content_type="application/json", headers={"X-CSRFToken": "a" * 32}
    )
    assert allowed.status_code == 200


def test_a_changed_password_counts_at_once(world, model):
    assert world.owner.get("models/").status_code == 200
    user = world.users["owner"]
    user.set_password("another one entirely")
    user.save()

    assert world.owner.get("models/").status_code == 401
    user.is_active = False
    user.save()
    assert Api(**basic("owner", "another one entirely")).get("models/").status_code == 401


def test_guessing_passwords_is_throttled(world):
    answers = [Api(**basic("owner", str(i))).get("models/").status_code for i in range(11)]

    assert answers == [401] * 10 + [429]


def test_guessing_tokens_is_throttled(world):
    LIMITS.configure(5)

    answers = [Api(Authorization=f"Token {i}").get("models/").status_code for i in range(60)]

    assert answers[0] == 401
    assert 429 in answers
