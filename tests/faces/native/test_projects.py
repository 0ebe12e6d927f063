import pytest
from django.utils import timezone
from tests.faces.native.conftest import is_problem

from foedus.records.learning.models import Checkpoint, Project
from foedus.records.shell.models import AuditEntry, Event, Job
from foedus.server.work import HANDLERS
from foedus.services.shell import jobs

KEYS_THAT_ARE_NONE = ["", "A", "a b", "-a", "a-", "a--b", "a/b", "../x", "ä", "a\n", "a\0", "x" * 65, 7, None, ["a"]]


def test_a_project_begins_as_a_draft_with_the_defaults(acme):
    answer = acme.post("projects", {"key": "digits"})

    project = answer.json()
    assert answer.status_code == 201
    assert project["state"] == "draft"
    assert (project["strategy"], project["policy"]) == (
        {"name": "fedavg", "options": {}},
        {"name": "quorum", "options": {}},
    )
    assert (project["round"], project["checkpoint"], project["layout"], project["participants"]) == (None,) * 3 + (0,)
    assert project["reasons"][0]["text"]


def test_a_project_comes_back_as_it_was_made(acme):
    fields = {
        "key": "digits-2",
        "title": "Ziffern 数字",
        "strategy": {"name": "fedadam", "options": {"lr": 0.01}},
        "policy": {"name": "quorum", "options": {"minimum": 3}},
        "settings": {"epochs": 1, "deep": {"list": [1, 2.5, None, True]}},
        "update_kind": "delta",
        "evaluate_every": 2,
        "seed": -7,
    }
    acme.post("projects", fields)

    project = acme.get("projects/digits-2").json()

    assert {name: project[name] for name in fields} == fields


def test_saying_the_same_again_gives_the_same_project(acme):
    first = acme.post("projects", {"key": "p", "settings": {"a": 1}})

    again = acme.post("projects", {"key": "p", "settings": {"a": 1}})

    assert (first.status_code, again.status_code) == (201, 200)
    assert again.json() == first.json()
    assert Project.objects.count() == 1


def test_a_key_that_is_taken_is_a_conflict_whoever_has_it(acme, rival):
    acme.post("projects", {"key": "p"})

    assert is_problem(acme.post("projects", {"key": "p", "title": "other"}), 409, "conflict")
    assert is_problem(rival.post("projects", {"key": "p"}), 409, "conflict")


@pytest.mark.parametrize("key", KEYS_THAT_ARE_NONE)
def test_a_key_is_words_joined_by_dashes(acme, key):
    answer = acme.post("projects", {"key": key})

    assert answer.status_code in (400, 422)
    assert not Project.objects.exists()


@pytest.mark.parametrize(
    ("fields", "path"),
    [
        ({}, "key"),
        ({"key": "p", "colour": "red"}, "colour"),
        ({"key": "p", "title": "a\u0007b"}, "title"),
        ({"key": "p", "title": "x" * 256}, "title"),
        ({"key": "p", "title": 1}, "title"),
        ({"key": "p", "strategy": "fedavg"}, "strategy"),
        ({"key": "p", "strategy": {"name": "fedavg", "code": "x"}}, "strategy.code"),
        ({"key": "p", "policy": {"options": {}}}, "policy.name"),
        ({"key": "p", "policy": {"name": "quorum", "options": []}}, "policy.options"),
        ({"key": "p", "settings": []}, "settings"),
        ({"key": "p", "settings": {"x": "y" * 65_536}}, "settings"),
        ({"key": "p", "update_kind": "pickle"}, "update_kind"),
        ({"key": "p", "evaluate_every": -1}, "evaluate_every"),
        ({"key": "p", "evaluate_every": True}, "evaluate_every"),
        ({"key": "p", "evaluate_every": "1"}, "evaluate_every"),
        ({"key": "p", "evaluate_every": 2**31}, "evaluate_every"),
        ({"key": "p", "seed": 1.5}, "seed"),
        ({"key": "p", "seed": 10**400}, "seed"),
    ],
)
def test_a_field_that_does_not_fit_is_named(acme, fields, path):
    answer = acme.post("projects", fields)

    assert is_problem(answer, 422, "invalid")
    assert answer.json()["context"]["field"] == path
    assert path in answer.json()["detail"]
    assert not Project.objects.exists()


@pytest.mark.parametrize(
    ("fields", "detail"),
    [
        ({"key": "My Ward"}, "lower-case letters and digits"),
        ({"key": "p", "policy": "quorum"}, "policy: must be an object"),
        ({"key": "p", "polcy": {"name": "quorum"}}, "polcy: there is no field of this name here"),
        ({"key": "p", "early_stopping": {"metric": "loss"}}, "evaluation names none"),
    ],
)
def test_what_does_not_fit_is_said_in_words_for_people(acme, fields, detail):
    answer = acme.post("projects", fields)

    assert is_problem(answer, 422, "invalid")
    assert detail in answer.json()["detail"]


def test_a_rule_loses_its_evaluator_only_together_with_itself(acme):
    acme.post("projects", {"key": "p", "evaluation": {"name": "digits"}, "best": {"metric": "accuracy"}})

    assert is_problem(acme.patch("projects/p", {"evaluation": {}}), 422, "invalid")
    assert acme.patch("projects/p", {"evaluation": {}, "best": {}}).status_code == 200


@pytest.mark.parametrize(
    "rule",
    [
        {"strategy": {"name": "os.system"}},
        {"strategy": {"name": "../../etc/passwd"}},
        {"strategy": {"name": "fedadam", "options": {"lr": "fast"}}},
        {"policy": {"name": "fedavg"}},
        {"policy": {"name": "quorum", "options": {"minimum": 0}}},
        {"policy": {"name": "quorum", "options": {"no_such": 1}}},
    ],
)
def test_a_rule_that_nobody_registered_or_that_does_not_fit_is_refused(acme, rule):
    answer = acme.post("projects", {"key": "p", **rule})

    assert is_problem(answer, 422, "invalid")


def test_a_project_with_a_model_waits_for_participants(acme, study):
    project = acme.get("projects/study").json()

    assert project["state"] == "running"
    assert project["checkpoint"]["number"] == 0
    assert project["checkpoint"]["href"] == "/foedus/v1/projects/study/checkpoints/0/model"
    assert project["checkpoint"]["created_at"].endswith("Z")
    assert [tensor["name"] for tensor in project["layout"]] == ["weight", "bias"]
    assert (project["round"]["number"], project["round"]["phase"]) == (1, "waiting")
    assert project["reasons"] == project["round"]["reasons"]
    assert project["reasons"][0]["code"] == "too_few_participants"


def test_a_change_touches_what_it_names_and_nothing_else(acme, study):
    before = acme.get("projects/study").json()

    answer = acme.patch("projects/study", {"title": "New", "settings": {"epochs": 2}})

    changed = answer.json()
    assert answer.status_code == 200
    assert (changed.pop("title"), changed.pop("settings")) == ("New", {"epochs": 2})
    assert changed == {name: value for name, value in before.items() if name not in ("title", "settings")}


def test_a_project_is_paused_and_goes_on(acme, study):
    paused = acme.patch("projects/study", {"state": "paused"}).json()
    running = acme.patch("projects/study", {"state": "running"}).json()

    assert (paused["state"], running["state"]) == ("paused", "running")
    assert paused["reasons"] != running["reasons"]


@pytest.mark.parametrize("fields", [{"state": "finished"}, {"state": "draft"}, {"key": "other"}, {"seed": 1}])
def test_some_things_cannot_be_changed(acme, study, fields):
    assert is_problem(acme.patch("projects/study", fields), 422, "invalid")


def test_a_draft_cannot_run(acme):
    acme.post("projects", {"key": "p"})

    assert is_problem(acme.patch("projects/p", {"state": "running"}), 409, "conflict")


@pytest.mark.django_db(transaction=True)
def test_a_project_goes_with_everything_it_has(acme, study, training, ports):
    a, _ = training
    a.post("projects/study/uploads", {"size_bytes": 8, "digest": "0" * 64})
    upload = acme.actor and a.post("projects/study/uploads", {"size_bytes": 8, "digest": "0" * 64}).json()["id"]
    ports.blobs.put(f"uploads/{upload}/0", b"12345678")

    answer = acme.delete("projects/study")

    assert (answer.status_code, answer.content) == (204, b"")
    assert "Content-Type" not in answer
    assert is_problem(acme.get("projects/study"), 404, "not_found")
    assert not Checkpoint.objects.exists()
    assert [(event.kind, event.data) for event in Event.objects.all()] == [("project.deleted", {"key": "study"})]
    assert list(ports.blobs.list())
    job = jobs.claim(timezone.now(), kind="delete-blobs")
    HANDLERS[job.kind](ports, job, now=timezone.now())
    assert list(ports.blobs.list()) == []
    assert not Job.objects.filter(kind="delete-blobs").exists()
    assert AuditEntry.objects.filter(verb="delete", object="project:study").exists()


def test_lists_come_in_pages_that_lose_nothing(acme):
    keys = [f"p-{i}" for i in range(5)]
    for key in keys:
        acme.post("projects", {"key": key})

    pages, after = [], ""
    while after is not None:
        page = acme.get(f"projects?limit=2&after={after}" if after else "projects?limit=2").json()
        pages.append([item["key"] for item in page["items"]])
        after = page["next"]

    assert pages == [keys[:2], keys[2:4], keys[4:]]
    assert "layout" not in acme.get("projects").json()["items"][0]


@pytest.mark.parametrize(
    "query", ["limit=0", "limit=201", "limit=x", "after=-1", "after=9223372036854775808", "after=1.5", "colour=red"]
)
def test_a_query_that_does_not_fit_is_refused_and_named(acme, query):
    answer = acme.get(f"projects?{query}")

    assert is_problem(answer, 422, "invalid")
    assert answer.json()["context"]["field"] == query.split("=")[0]


def test_a_list_costs_the_same_however_long_it_is(acme, django_assert_max_num_queries):
    for number in range(20):
        acme.post("projects", {"key": f"p-{number}"})

    with django_assert_max_num_queries(12):
        page = acme.get("projects").json()

    assert len(page["items"]) == 20
