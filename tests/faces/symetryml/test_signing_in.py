"""People sign in with their provider's account, and programs then read by which key to sign."""

from dataclasses import replace
from functools import partial
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from django.utils import timezone
from pytest_socket import enable_socket
from tests import factories
from tests.faces.symetryml.conftest import ORIGIN, SECRET, Symetry, said, values
from tests.servers.oidc import CLIENT, CLIENT_SECRET, provider_running

from foedus import bootstrap
from foedus.connectors.identity.oidc import OidcIdentities, OidcOptions
from foedus.core.symetryml.sign_in import SignInOptions, SignInPolicy
from foedus.ports.secrets import Secret
from foedus.records.customers.models import Customer
from foedus.records.shell.models import AuditEntry
from foedus.services.customers.accounts import rotate_key, set_disabled
from foedus.services.customers.signing_in import link_identity, unlink_identities


@pytest.fixture
def provider():
    enable_socket()  # the provider is a server on this machine
    with provider_running() as running:
        yield running


@pytest.fixture(autouse=True)
def _identities(ports, provider, monkeypatch):
    told = OidcOptions(issuer=provider.issuer, client_id=CLIENT, client_secret=Secret(CLIENT_SECRET))
    with_them = replace(ports, identities=OidcIdentities(told))
    monkeypatch.setattr(bootstrap, "ports", lambda: with_them)


class Browser:
    """Keeps cookies, and follows redirects only when told to."""

    def __init__(self, app, portal):
        self._portal = portal
        self._client = httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url=ORIGIN)

    def get(self, path):
        return self._portal.call(partial(self._client.get, path))

    def asked(self, path="/symetry/sso/login"):
        """Where the provider sends the browser once its person has agreed."""
        return httpx.get(self.get(path).headers["location"]).headers["location"]

    def sign_in(self):
        return self.get(self.asked())

    def close(self):
        self._portal.call(self._client.aclose)

    @property
    def cookies(self):
        return self._client.cookies


@pytest.fixture
def browsers(app, portal):
    made = []

    def browser():
        made.append(Browser(app, portal))
        return made[-1]

    yield browser
    for each in made:
        each.close()


@pytest.fixture
def browser(browsers):
    return browsers()


def allow(app, **policy):
    app.state.sign_in = SignInOptions(SignInPolicy(**policy))


@pytest.fixture
def clinic(customers, provider):
    customer = customers("clinic")
    link_identity(factories.operator(now=timezone.now()), "clinic", provider.issuer, "u-1", now=timezone.now())
    return customer


def test_who_signs_in_gets_the_key_and_signs_with_it(app, portal, clinic, browser):
    answer = browser.sign_in()

    assert (answer.status_code, answer.headers["location"]) == (302, "/symetry/rest/smlaccess")
    credentials = values(browser.get("/symetry/rest/smlaccess"))["smlCredentials"]
    assert credentials == {"smlusername": "clinic", "smlusersecretkey": SECRET}
    assert values(browser.get("/smlaccess"))["smlCredentials"] == credentials
    client = Symetry(app, portal, credentials["smlusername"], credentials["smlusersecretkey"])
    assert client.get("projects/list").status_code == 200
    assert list(AuditEntry.objects.filter(actor="customer:clinic").values_list("verb", flat=True)) == [
        "sign in", "read key", "read key",
    ]  # fmt: skip


def test_without_a_session_there_is_no_profile(browser, clinic):
    answer = browser.get("/symetry/rest/smlaccess")

    assert said(answer)[:2] == (400, "BAD_REQUEST")
    assert "/symetry/sso/login" in said(answer)[2]
    assert answer.headers["cache-control"] == "no-store"


def test_the_newest_key_is_told_and_none_that_has_ended(ports, browser, clinic):
    operator = factories.operator(now=timezone.now())
    browser.sign_in()
    key = rotate_key(
        ports, operator, "clinic", secret_key=None, overlap_s=60, expires_in_s=None, now=timezone.now()
    )  # fmt: skip

    assert values(browser.get("/smlaccess"))["smlCredentials"]["smlusersecretkey"] == key.secret_key
    Customer.objects.get(cid="clinic").keys.update(expires_at=timezone.now())
    assert said(browser.get("/smlaccess"))[0] == 400


def test_a_customer_shut_out_gets_nothing(browser, clinic):
    browser.sign_in()
    set_disabled(factories.operator(now=timezone.now()), "clinic", disabled=True, now=timezone.now())

    assert said(browser.get("/smlaccess")) == (400, "BAD_REQUEST", "Invalid User")
    assert said(browser.sign_in())[0] == 400


def test_unlinking_ends_sessions(browser, clinic):
    browser.sign_in()
    unlink_identities(factories.operator(now=timezone.now()), "clinic", now=timezone.now())

    assert said(browser.get("/smlaccess"))[0] == 400


def test_an_account_that_is_linked_with_nobody_is_told_what_to_do(app, browser, customers):
    customers("clinic")  # a name that the account bears is no proof of anything
    allow(app, create=True)

    status, _, text = said(browser.sign_in())

    assert status == 400
    assert "foedus customers link" in text


def test_the_first_sign_in_makes_a_customer_where_that_is_permitted(app, browser, provider, customers):
    customers("other")  # and so an organisation
    provider.account = {"sub": "u-2", "preferred_username": "lab"}
    assert said(browser.sign_in())[0] == 400
    allow(app, create=True)

    assert browser.sign_in().status_code == 302
    assert values(browser.get("/smlaccess"))["smlCredentials"]["smlusername"] == "lab"


@pytest.mark.parametrize(("verified", "status"), [(True, 302), (False, 400), ("true", 400)])
def test_an_address_names_a_customer_only_if_it_was_verified(app, browser, provider, customers, verified, status):
    customers("other")
    allow(app, create=True, claim="email")
    provider.account = {"sub": "u-3", "email": "me@lab.test", "email_verified": verified}

    assert browser.sign_in().status_code == status


@pytest.mark.parametrize("name", ["", "../x", 7, None, "a b", "x" * 101])
def test_a_claim_that_is_no_customer_id_makes_none(app, browser, provider, customers, name):
    customers("other")
    allow(app, create=True)
    provider.account = {"sub": "u-4", "preferred_username": name}

    assert said(browser.sign_in())[0] == 400
    assert Customer.objects.count() == 1


def test_an_answer_is_taken_by_the_browser_that_asked_alone(browsers, clinic):
    victim, thief = browsers(), browsers()
    thief.get("/symetry/sso/login")

    assert said(thief.get(victim.asked()))[0] == 401
    assert said(browsers().get(victim.asked()))[0] == 401


def test_an_answer_is_taken_once(browser, clinic):
    address = browser.asked()
    browser.get(address)

    assert said(browser.get(address))[0] == 401


def test_an_answer_that_names_another_provider_is_refused(browser, clinic, provider):
    address = browser.asked().replace("iss=http", "iss=https")

    assert said(browser.get(address))[0] == 401


@pytest.mark.parametrize("target", ["//evil.test", "https://evil.test", "/\\evil.test", "/a\nb", "x"])
def test_no_link_leads_elsewhere(browser, clinic, target):
    address = browser.asked(f"/symetry/sso/login?{httpx.QueryParams(next=target)}")

    assert browser.get(address).headers["location"] == "/symetry/rest/smlaccess"


def test_signing_out_ends_the_session_for_good(browser, clinic, provider):
    browser.sign_in()
    kept = dict(browser.cookies)

    answer = browser.get("/symetry/sso/logout")

    assert answer.headers["location"].startswith(f"{provider.url}/logout?")
    browser.cookies.update(kept)
    assert said(browser.get("/smlaccess"))[0] == 400


def test_a_provider_that_fails_is_a_failure_here(browser, provider, clinic):
    provider.metadata = {"issuer": "https://other.test"}

    assert said(browser.get("/symetry/sso/login"))[:2] == (500, "INTERNAL_SERVER_ERROR")


def test_cookies_are_out_of_reach_for_scripts_and_other_hosts(app, browser, clinic):
    app.state.sign_in = replace(app.state.sign_in, callback="https://fl.test/symetry/sso/callback")

    answer = browser.get("/symetry/sso/login")

    cookie = answer.headers["set-cookie"]
    assert cookie.startswith("__Host-symetryml-attempt=")
    assert all(word in cookie for word in ("HttpOnly", "Secure", "SameSite=lax", "Path=/"))
    assert parse_qs(urlsplit(answer.headers["location"]).query)["redirect_uri"] == [
        "https://fl.test/symetry/sso/callback"
    ]
