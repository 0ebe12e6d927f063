import httpx
import pytest
from tests.simulation.flaas.exchanges import Server

from foedus.core.fleet.modes import DatasetType
from foedus.simulation.flaas.api import MAX_REFRESHES, CallFailed, FlaasApi, RefreshLoop, open_client
from foedus.simulation.flaas.meter import Meter


@pytest.fixture
def server():
    return Server()


@pytest.fixture
def api(server):
    with open_client("http://server", transport=server.transport) as client:
        api = FlaasApi(client)
        api.log_in("bob", "pass word&")
        yield api


def test_a_login_is_a_form_and_its_token_goes_along_from_then_on(api, server):
    api.get_samples(DatasetType.NON_IID, 2)

    login, download = server.requests
    assert (login.url.path, login.content) == ("/api/token/", b"username=bob&password=pass+word%26")
    assert login.headers["Content-Type"] == "application/x-www-form-urlencoded"
    assert "Authorization" not in login.headers
    assert download.url.path == "/api/get-samples/NonIID/2/"
    assert download.headers["Authorization"] == "Bearer access-1"
    assert "Accept" not in download.headers


def test_calls_have_the_apps_addresses_and_types(api, server):
    api.join_round(4, 2, 5)
    api.get_model(4, 2)
    api.submit_model(4, 2, b"\0")
    api.report_availability(b"{}")
    api.submit_results(4, 2, b"{}")

    assert [
        (r.method, str(r.url).removeprefix("http://server"), r.headers.get("Content-Type")) for r in server.requests
    ][1:] == [
        ("GET", "/api/project/4/join-round/2/?status=5", None),
        ("GET", "/api/project/4/get-model/2/", None),
        ("POST", "/api/project/4/submit-model/2/model_weights.bin", "application/octet-stream"),
        ("POST", "/api/report-availability", "application/json; charset=utf-8"),
        ("POST", "/api/project/4/submit-results/2/performance.json", "application/json; charset=utf-8"),
    ]


def test_an_expired_token_is_refreshed_once_and_the_call_repeated(api, server):
    server.expire()
    server.tokens = 1  # the refresh token is still good

    api.report_availability(b"{}")

    assert server.kinds() == ["token", "report-availability", "token/refresh", "report-availability"]
    assert server.requests[2].headers["Authorization"] == "Bearer access-1", "the stale token goes along"
    assert server.requests[3].headers["Authorization"] == f"Bearer {server.access}"


def test_a_refused_refresh_token_logs_the_phone_out(api, server):
    server.expire()

    with pytest.raises(CallFailed):
        api.report_availability(b"{}")

    assert not api.logged_in
    assert server.kinds() == ["token", "report-availability", "token/refresh"]


def test_a_wrong_password_leads_to_a_refresh_with_an_empty_token(server):
    server.fails["token"] = [401]
    with open_client("http://server", transport=server.transport) as client, pytest.raises(CallFailed):
        FlaasApi(client).log_in("bob", "wrong")

    assert server.kinds() == ["token", "token/refresh"]
    assert server.requests[1].content == b"refresh="


def test_a_server_that_answers_401_to_refreshing_would_trap_phones(api, server):
    server.expire()
    server.fails["token/refresh"] = [401] * 100

    with pytest.raises(RefreshLoop):
        api.report_availability(b"{}")

    assert len(server.sent("token/refresh")) == MAX_REFRESHES


@pytest.mark.parametrize("status", [204, 205, 400, 404, 409, 500])
def test_the_app_takes_these_answers_for_failures(api, server, status):
    server.fails["report-availability"] = [status]

    with pytest.raises(CallFailed, match=str(status)):
        api.report_availability(b"{}")


def test_a_token_does_not_follow_a_redirect_to_another_host():
    asked = []

    def answer(request):
        asked.append(request)
        if request.url.host == "files":
            return httpx.Response(200, content=b"weights")
        return httpx.Response(302, headers={"Location": "http://files/signed"})

    with open_client("http://server", transport=httpx.MockTransport(answer)) as client:
        api = FlaasApi(client)
        api.use_tokens("access", "refresh")

        assert api.get_model(1, 0) == b"weights"

    assert [request.headers.get("Authorization") for request in asked] == ["Bearer access", None]


def test_a_broken_connection_is_a_failed_call():
    def answer(request):
        raise httpx.ConnectError("refused")

    with open_client("http://server", transport=httpx.MockTransport(answer)) as client, pytest.raises(CallFailed):
        FlaasApi(client).get_model(1, 0)


def test_calls_and_bytes_are_counted(server):
    meter = Meter()
    with open_client("http://server", transport=server.transport) as client:
        api = FlaasApi(client, meter)
        api.log_in("bob", "secret")
        api.submit_model(1, 0, b"12345")
        api.get_model(1, 0)

    assert meter.calls()["submit-model"].sent_bytes == 5
    assert len(meter.calls()["get-model"].seconds) == 1
