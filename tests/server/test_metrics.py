"""What ``/metrics`` says, and to whom."""

import re
from functools import partial

import httpx
import pytest
from anyio.from_thread import start_blocking_portal
from django.utils import timezone
from tests.factories import Study, model

from foedus import bootstrap
from foedus.ports.secrets import Secret
from foedus.records.accounts.models import User
from foedus.server import metrics
from foedus.server.asgi import application
from foedus.server.metrics import Durations
from foedus.services.accounts.credentials import ensure_first_operator, new_token
from foedus.services.learning.projects import Rule

pytestmark = pytest.mark.django_db(transaction=True)

LINE = re.compile(r'[a-z_]+(\{[a-z]+="[^"\n]*"(,[a-z]+="[^"\n]*")*\})? -?[0-9.e+]+')
TOKEN = "fop_" + "a" * 40


@pytest.fixture
def page(monkeypatch):
    monkeypatch.setattr(metrics, "_fresh", metrics._Fresh())
    ensure_first_operator(TOKEN, now=timezone.now())

    def read(token, path="/metrics"):
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        return portal.call(partial(_get, application("data"), path, headers))

    with start_blocking_portal() as portal:
        yield read


async def _get(app, path, headers):
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://testserver") as client:
        return await client.get(path, headers=headers)


def figures(text):
    return dict(line.rsplit(" ", 1) for line in text.splitlines() if not line.startswith("#"))


def test_the_page_counts_what_the_tables_hold_and_how_long_answers_took(page, ports, clock):
    study = Study.create(ports, clock, policy=Rule(name="quorum", options={"minimum": 2}))
    a, b = study.join_all("a", "b")
    study.next(a), study.next(b)
    study.submit(a, 1, model(1.0))

    text = page(TOKEN).text

    assert all(line.startswith("# ") or LINE.fullmatch(line) for line in text.splitlines())
    found = figures(text)
    assert found['foedus_projects{state="running"}'] == "1"
    assert found['foedus_rounds{phase="collecting"}'] == "1"
    assert found['foedus_participants{state="active"}'] == "2"
    assert found["foedus_updates"] == "1"
    assert [value for name, value in found.items() if name.startswith("foedus_waits{reason=")] == ["1"]
    assert float(found['foedus_blob_bytes{kind="updates"}']) > 0


@pytest.mark.parametrize(("token", "status"), [("", 401), ("fop_" + "b" * 40, 401), ("x", 401)])
def test_strangers_learn_nothing(page, token, status):
    answer = page(token)

    assert answer.status_code == status
    assert "foedus_" not in answer.text


def test_operators_of_one_organisation_do_not_see_the_figures_of_all(page):
    User.objects.update(is_superuser=False)

    assert page(TOKEN).status_code == 403


def test_a_token_of_its_own_opens_the_page_and_nothing_else(page, monkeypatch):
    options = bootstrap.settings()
    token = new_token("scrape_")
    monkeypatch.setattr(metrics.bootstrap, "settings", lambda: _With(options, Secret(token)))

    assert page(token).status_code == 200
    assert page(token, "/foedus/v1/projects/study/events").status_code == 401


class _With:
    def __init__(self, options, token):
        self._options, self.metrics_token = options, token

    def __getattr__(self, name):
        return getattr(self._options, name)


def test_durations_are_counted_in_buckets_that_add_up():
    durations = Durations()
    for seconds in (0.001, 0.005, 0.3, 100.0):
        durations.note("native", "GET", 200, seconds)
    durations.note("native", "BREW", 418, 1.0)

    found = figures("\n".join(durations.lines()))

    get = 'foedus_http_request_seconds_bucket{face="native",method="GET",status="2xx",le="%s"}'
    assert [found[get % le] for le in ("0.005", "0.1", "0.5", "60.0", "+Inf")] == ["2", "2", "3", "3", "4"]
    assert found['foedus_http_request_seconds_count{face="native",method="other",status="4xx"}'] == "1"


def test_of_several_web_processes_each_tells_which_it_is():
    durations = Durations()
    durations.process = "web-2"
    durations.note("native", "GET", 200, 0.001)

    assert all('process="web-2"' in line for line in durations.lines() if not line.startswith("#"))
