"""Pages for operators: what they show, to whom, and how they keep from being abused."""

import re

import pytest
from django.test import Client
from django.utils import timezone
from tests.factories import Study, model
from tests.services.statistics.conftest import Lab
from tests.services.statistics.frames import frame

from foedus import bootstrap
from foedus.faces.console.registry import sections
from foedus.records.accounts.models import Organisation, User
from foedus.records.sources.models import Stream, StreamError
from foedus.services.learning.projects import Rule
from foedus.services.statistics import jobs

pytestmark = pytest.mark.django_db(transaction=True)
HOSTILE = "<script>alert(1)</script>"


@pytest.fixture
def study(ports, clock, monkeypatch):
    monkeypatch.setattr(bootstrap, "ports", lambda: ports)
    study = Study.create(ports, clock, title=HOSTILE, policy=Rule(name="quorum", options={"minimum": 2}))
    first, second = study.join_all("site-1", "site-2")
    for each in (first, second):
        study.next(each)
    study.submit(first, 1, model(1.0), loss=0.25)
    return study


@pytest.fixture
def lab(ports, clock, study):
    lab = Lab(ports, clock)
    row = lab.create("visits")
    lab.learn(frame(3), "visits")
    jobs.submit(ports, lab.customer, "learn", project=row, body=frame(1), now=clock())
    stream = Stream.objects.create(
        project=row, name="bus", key="k", kind="nats", sealed=b"", running=True, trouble="the server is away",
        created_at=clock(),
    )  # fmt: skip
    StreamError.objects.create(stream=stream, text=HOSTILE, at=clock())
    return lab


def browser(name="root", *, organisation=None, **fields):
    owner = organisation and Organisation.objects.get_or_create(
        name=organisation, defaults={"created_at": timezone.now()}
    )[0]  # fmt: skip
    client = Client()
    client.force_login(User.objects.create(username=name, organisation=owner, **fields))
    return client


@pytest.fixture
def root(lab):
    return browser(is_superuser=True)


ADDRESSES = [
    "/console/", "/console/projects/", "/console/projects/study/", "/console/projects/study/rounds/1/",
    "/console/statistics/", "/console/statistics/c1/visits/", "/console/statistics/c1/visits/explore/",
    "/console/audit/",
]  # fmt: skip


@pytest.mark.parametrize("address", ADDRESSES)
def test_every_page_is_whole_and_safe(root, address):
    answer = root.get(address)
    text = answer.content.decode()

    assert answer.status_code == 200
    assert re.search(r'<html lang="en">.*<main.*<h1>', text, re.DOTALL)
    assert text.count('aria-current="page"') == 1
    assert HOSTILE not in text
    assert "style=" not in text
    assert not re.search(r"<script(?! src=)|\son[a-z]+=", text)
    policy = answer.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert answer.headers["Cache-Control"] == "no-store"


def test_pages_say_what_is_awaited_and_what_went_wrong(root):
    overview = root.get("/console/").content.decode()
    project = root.get("/console/projects/study/").content.decode()
    statistics = root.get("/console/statistics/c1/visits/").content.decode()

    assert "study" in overview
    assert "waits: the server is away" in overview
    assert "site-1" in project
    assert "site-2" in project
    assert "1 of 2" in overview
    assert "&lt;script&gt;" in statistics
    assert "waiting" in statistics


EXPLORE = "/console/statistics/c1/study/explore/"


@pytest.fixture
def learned(lab):
    """y = 2 x + 1, and z that goes the other way."""
    lab.create("study")
    rows = [[str(x), str(2 * x + 1 + x % 2), str(-(x**2)), str(x % 2)] for x in range(20)]
    names = ["x", "y", HOSTILE.replace("<", "&").replace(">", ";"), "b"]
    lab.learn({"attributeNames": names, "attributeTypes": ["C", "C", "C", "B"], "data": rows}, "study")
    return names


def test_attributes_are_explored_for_people(root, learned):
    text = root.get(EXPLORE, {"one": "x", "other": "y"}).content.decode()

    assert "<td>9.5</td>" in text  # the mean of x
    assert "Covariance" in text
    assert "Where it is 1" not in text
    assert "Where it is 1" in root.get(EXPLORE, {"one": "x", "other": "b"}).content.decode()
    assert "data-live" not in text  # forms stay as they are filled in


def test_correlations_are_drawn_with_their_numbers(root, learned):
    text = root.get(EXPLORE, {"map:x": "1", f"map:{learned[2]}": "1"}).content.decode()

    assert '<td class="p10">1.00</td>' in text
    assert re.search(r'<td class="n10">-0.9\d</td>', text)


def test_attributes_with_colons_are_not_taken_for_each_other(root, lab):
    lab.create("study")
    names = ["a", "b:c", "a:b", "c"]  # of which "a:b:c" is two pairs
    rows = [[str(x), str(x), str(x), str(-x)] for x in range(9)]
    lab.learn({"attributeNames": names, "attributeTypes": ["C"] * 4, "data": rows}, "study")

    text = root.get(EXPLORE, {f"map:{name}": "1" for name in names}).content.decode()

    signs = re.findall(r'<td class="([np])10">', text)
    assert signs == [*"pppn" * 3, *"nnnp"]


@pytest.mark.parametrize("algorithm", ["mlr", "ridge", "lasso", "elasticnet"])
def test_models_are_fitted_for_people_and_not_kept(root, learned, algorithm):
    asked = {"algorithm": algorithm, "target": "y", "input:x": "1", "input:b": "1"}

    text = root.get(EXPLORE, asked).content.decode()

    assert "R²" in text
    assert ("Standard error" in text) == (algorithm == "mlr")
    assert "<dt>Rows</dt><dd>20</dd>" in text
    assert "<h2>Models</h2>\n<p>None.</p>" in root.get("/console/statistics/c1/study/").content.decode()


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        ({"one": "nobody"}, "nobody"), ({"map:x": "1"}, "2 to 20"), ({"algorithm": "mlr", "target": "y"}, "inputs"),
        ({"algorithm": "xgb", "target": "y", "input:x": "1"}, "no model"),
        ({"algorithm": "mlr", "input:x": "1"}, "choose the target"),
    ],
)  # fmt: skip
def test_what_cannot_be_shown_is_said(root, learned, asked, told):
    answer = root.get(EXPLORE, asked)

    assert answer.status_code == 200
    assert re.search(rf'role="alert"><strong>[^<]*{told}', answer.content.decode())


@pytest.mark.parametrize("address", ADDRESSES)
def test_strangers_are_sent_to_sign_in(lab, address):
    answer = Client().get(address)

    assert answer.status_code == 302
    assert answer.headers["location"] == f"/admin/login/?next={address}"


@pytest.mark.parametrize("address", ADDRESSES)
def test_who_is_not_of_the_staff_sees_nothing(lab, address):
    answer = browser("guest", organisation="acme").get(address)

    assert answer.status_code == 403
    assert b"study" not in answer.content.replace(address.encode(), b"")


def test_staff_sees_its_own_organisation_alone(lab):
    own, other = (browser(name, organisation=name, is_staff=True) for name in ("acme", "others"))

    for address in ADDRESSES:
        assert own.get(address).status_code == 200
    for address in (
        "/console/projects/study/", "/console/projects/study/rounds/1/", "/console/statistics/c1/visits/",
        "/console/statistics/c1/visits/explore/",
    ):  # fmt: skip
        assert other.get(address).status_code == 404
    for address in ("/console/", "/console/projects/", "/console/statistics/", "/console/audit/"):
        assert b">study<" not in other.get(address).content
        assert b">visits<" not in other.get(address).content


@pytest.mark.parametrize(
    ("address", "status"),
    [
        ("/console/projects/none/", 404), ("/console/projects/study/rounds/99/", 404),
        ("/console/statistics/c1/none/", 404), ("/console/statistics/none/visits/", 404),
        ("/console/audit/?after=x", 200), ("/console/none/", 404),
    ],
)  # fmt: skip
def test_what_is_not_there_is_told(root, address, status):
    assert root.get(address).status_code == status


def test_pages_are_not_sent_anything(root):
    assert root.post("/console/").status_code in (403, 405)


def test_sections_of_faces_that_are_off_are_not_there():
    assert "statistics" not in [each.name for each in sections(frozenset({"native"}))]
    assert sections(frozenset({"symetryml"}))[0].name == "overview"
