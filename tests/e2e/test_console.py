"""The console as its users have it: signed in, followed live, in a browser where there is one."""

import json
import re
import shutil

import httpx
import pytest
from tests.e2e.service import Serve

PASSWORD = "orchid orchid orchid"
BROWSERS = ("chromium", "chromium-browser", "google-chrome")
OPTIONS = (
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
)  # fmt: skip


@pytest.fixture(scope="module")
def _password():
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DJANGO_SUPERUSER_PASSWORD", PASSWORD)
        yield


@pytest.fixture(scope="module")
def service(tmp_path_factory, _password):
    with Serve(tmp_path_factory.mktemp("console") / "data") as running:
        user = running._run(
            "manage", "createsuperuser", "--noinput", "--username", "root", "--email", "r@x.test", ready="created"
        )  # fmt: skip
        user.wait_ready()
        user.process.wait(30)
        yield running


@pytest.fixture
def web(service):
    with httpx.Client(base_url=service.url, timeout=20, follow_redirects=True) as client:
        form = client.get("/console/").text
        token = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', form)[1]
        fields = {"csrfmiddlewaretoken": token, "username": "root", "password": PASSWORD, "next": "/console/"}
        answer = client.post("/admin/login/", data=fields, headers={"Referer": f"{service.url}/admin/login/"})
        assert "<h1>Overview</h1>" in answer.text
        yield client


def make_project(service, key):
    fields = {"key": key, "policy": {"name": "quorum", "options": {"minimum": 2}}, "strategy": {"name": "fedavg"}}
    answer = httpx.post(
        f"{service.url}/foedus/v1/projects", json=fields, headers={"Authorization": f"Bearer {service.token}"}
    )
    assert answer.status_code == 201, answer.text


def pages(response):
    """What comes, page by page."""
    for line in response.iter_lines():
        if line.startswith("data: ") and len(line) > 6:
            yield json.loads(line[6:])


def test_a_page_comes_again_when_something_happens(service, web):
    make_project(service, "before")

    with web.stream("GET", "/console/live", params={"path": "/console/projects/"}) as response:
        following = pages(response)
        assert "before" in next(following)
        make_project(service, "after")
        assert any("after" in page for page in following)


def test_a_page_ends_with_its_session(web):
    with web.stream("GET", "/console/live", params={"path": "/console/"}) as response:
        lines = response.iter_lines()
        next(lines)
        token = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', web.get("/console/").text)[1]
        web.post("/admin/logout/", data={"csrfmiddlewaretoken": token})
        assert any(line == "event: gone" for line in lines)


def test_nobody_follows_without_a_session_or_what_is_no_page(service, web):
    assert httpx.get(f"{service.url}/console/live", params={"path": "/console/"}).status_code == 403
    for path in ("", "/admin/", "/console/none/", "//evil.test/console/", "/console/live"):
        assert web.get("/console/live", params={"path": path}).status_code == 404


def test_a_browser_shows_pages_that_everybody_can_use(service):
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="axe-playwright-python is not installed")
    program = next((found for name in BROWSERS if (found := shutil.which(name))), None)
    if program is None:
        pytest.skip("there is no Chromium, so nothing was proved about how pages look and work in a browser")
    make_project(service, "seen")
    with playwright.sync_playwright() as tools:
        chromium = tools.chromium.launch(executable_path=program, args=OPTIONS)
        page = chromium.new_page()
        wrong = []
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.goto(f"{service.url}/console/")
        page.fill("#id_username", "root")
        page.fill("#id_password", PASSWORD)
        page.press("#id_password", "Enter")
        for path in ("/console/", "/console/projects/", "/console/projects/seen/", "/console/audit/"):
            page.goto(service.url + path)
            page.wait_for_selector("#state:text-is('Live')")
            found = axe.Axe().run(page).response["violations"]
            assert not found, found
        page.goto(f"{service.url}/console/projects/")
        page.wait_for_selector("#state:text-is('Live')")
        make_project(service, "unannounced")
        page.wait_for_selector("text=unannounced")
        page.click("#pause")
        assert page.text_content("#state") == "Paused"
        assert wrong == []
        chromium.close()
