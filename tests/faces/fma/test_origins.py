import pytest

from foedus.faces.fma.origins import ORIGINS

APP = "https://app.example.org"

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def _configured():
    ORIGINS.configure((APP,))
    yield
    ORIGINS.configure(())


def cors(response):
    return {name: value for name, value in response.headers.items() if name.startswith("Access-Control-")}


def test_a_page_of_a_configured_origin_may_read_the_answer(world):
    response = world.anonymous.get("", Origin=APP)

    assert response.headers["Access-Control-Allow-Origin"] == APP
    assert "Origin" in response.headers["Vary"]


def test_it_may_read_errors_and_when_to_come_again(world):
    response = world.anonymous.get("models/", Origin=APP)

    assert response.status_code == 401
    assert response.headers["Access-Control-Allow-Origin"] == APP
    assert "Retry-After" in response.headers["Access-Control-Expose-Headers"]


def test_before_it_calls_it_is_told_what_it_may_send(world):
    asked = {"Origin": APP, "Access-Control-Request-Method": "POST"}

    response = world.anonymous.call("OPTIONS", "model_updates/", **asked)

    assert response.status_code == 200
    assert response.headers["Access-Control-Allow-Methods"] == "GET, HEAD, OPTIONS, POST"
    assert response.headers["Access-Control-Allow-Headers"] == "Authorization, CLIENT-UUID, Content-Type"


@pytest.mark.parametrize(
    "path", ["/mediafiles/model_aggregates/1.json", "/api-token-auth/", "models/1/register_client/"]
)
def test_all_of_the_dialect_answers_pages(world, path):
    assert world.anonymous.call("OPTIONS", path, Origin=APP).headers["Access-Control-Allow-Origin"] == APP


def test_cookies_are_never_let_through(world):
    for response in (world.owner.get("models/", Origin=APP), world.owner.call("OPTIONS", "models/", Origin=APP)):
        assert "Access-Control-Allow-Credentials" not in response.headers
        assert response.headers["Access-Control-Allow-Origin"] != "*"


@pytest.mark.parametrize(
    "origin",
    [
        "https://evil.example",
        "null",
        "",
        "*",
        f"{APP}.evil.example",
        f"{APP}:8443",
        "http://app.example.org",
        f"{APP}/",
    ],
)
def test_pages_of_other_origins_are_told_nothing(world, origin):
    assert cors(world.anonymous.get("", Origin=origin)) == {}
    assert cors(world.anonymous.call("OPTIONS", "models/", Origin=origin)) == {}
