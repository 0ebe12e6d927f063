import pytest
from django.utils import timezone
from tests import factories
from tests.faces.native.conftest import is_problem

from foedus.services.accounts.credentials import authenticate
from foedus.services.learning.combining import combine
from foedus.services.shell import jobs


@pytest.fixture
def hand_in(study):
    def handed_in(participant, number, value=1.0, examples=1.0, **metrics):
        actor = authenticate(participant.token, now=timezone.now())
        return study.submit(actor, number, factories.model(value), examples, **metrics)

    return handed_in


@pytest.fixture
def complete(training, hand_in, ports):
    """Hands in both updates of a round and combines them."""

    def completed(number):
        for participant, examples, loss in zip(training, (1, 3), (0.2, 0.6), strict=True):
            participant.post("projects/study/heartbeat", {})
            hand_in(participant, number, examples=examples, loss=loss)
        combine(ports, jobs.claim(timezone.now()), now=timezone.now())

    return completed


def test_a_round_under_way_says_whom_it_waits_for(acme, training, hand_in):
    hand_in(training[0], 1)

    found = acme.get("projects/study/rounds/1").json()

    assert (found["phase"], found["base_checkpoint"], found["checkpoint"]) == ("collecting", 0, None)
    assert [found[name] for name in ("invited", "reported", "lost", "updates", "needed")] == [2, 1, 0, 1, 2]
    assert (found["policy"]["name"], found["strategy"]["name"]) == ("quorum", "fedavg")
    assert found["reasons"][0]["code"] == "awaiting_updates"
    assert "b was last seen" in found["reasons"][0]["text"]
    assert found["deadline_at"] > found["started_at"] >= found["opened_at"]
    assert (found["closed_at"], found["seconds"]) == (None, None)


def test_participants_are_not_told_whom_a_round_waits_for(training, hand_in):
    hand_in(training[0], 1)
    _, b = training

    round_1 = b.get("projects/study/rounds/1").json()
    told = [round_1, b.get("projects/study/rounds").json()["items"][0], b.get("projects/study").json()["round"]]

    texts = {found["reasons"][0]["text"] for found in told}
    assert texts == {"1 of 2 needed updates handed in; 1 invited participant still may."}
    assert b.get("projects").json()["items"][0]["reasons"][0] == round_1["reasons"][0]


def test_a_round_that_is_complete_says_what_came_of_it(acme, complete):
    complete(1)

    found = acme.get("projects/study/rounds/1").json()
    made = acme.get("projects/study/checkpoints/latest").json()

    assert (found["phase"], found["checkpoint"], found["reasons"][0]["code"]) == ("complete", 1, "round_over")
    assert found["metrics"] == pytest.approx({"loss": 0.5})
    assert found["seconds"] > 0
    assert (made["number"], made["round"], made["metrics"]) == (1, 1, found["metrics"])


def test_rounds_and_checkpoints_are_listed_newest_first(acme, complete):
    complete(1)
    complete(2)

    rounds = acme.get("projects/study/rounds?limit=2").json()
    checkpoints = acme.get("projects/study/checkpoints").json()

    assert [item["number"] for item in rounds["items"]] == [3, 2]
    assert [item["number"] for item in acme.get("projects/study/rounds?after=2").json()["items"]] == [1]
    assert rounds["next"] == 2
    assert [item["number"] for item in checkpoints["items"]] == [2, 1, 0]
    assert checkpoints["next"] is None


def test_a_list_of_rounds_costs_no_query_a_round(acme, complete, django_assert_max_num_queries):
    complete(1)
    complete(2)
    complete(3)

    with django_assert_max_num_queries(6):
        page = acme.get("projects/study/rounds").json()

    assert [item["phase"] for item in page["items"]] == ["complete"] * 3


def test_updates_are_listed_for_operators(acme, complete):
    complete(1)

    page = acme.get("projects/study/rounds/1/updates?limit=1").json()
    rest = acme.get(f"projects/study/rounds/1/updates?after={page['next']}").json()

    first = page["items"][0]
    assert set(first) == {
        "id", "participant", "examples", "staleness", "metrics", "digest", "size_bytes", "accepted_at",
    }  # fmt: skip
    assert (first["participant"], first["examples"], first["metrics"]) == ("a", 1.0, {"loss": 0.2})
    assert [item["participant"] for item in rest["items"]] == ["b"]
    assert rest["next"] is None


@pytest.mark.parametrize("path", ["rounds/9", "rounds/9/updates", "checkpoints/9", "rounds/0"])
def test_what_is_not_there_yet_is_not_found(acme, study, path):
    assert is_problem(acme.get(f"projects/study/{path}"), 404, "not_found")


def test_a_draft_has_no_latest_checkpoint(acme):
    acme.post("projects", {"key": "draft"})

    assert is_problem(acme.get("projects/draft/checkpoints/latest"), 404, "not_found")
    assert acme.get("projects/draft/rounds").json() == {"items": [], "next": None}


def test_a_version_stands_for_one_checkpoint(acme, complete):
    complete(1)
    fields = {"checkpoint": 1, "version": "2026-01"}

    first, again = (acme.post("projects/study/artifacts", fields) for _ in range(2))
    other = acme.post("projects/study/artifacts", {**fields, "checkpoint": 0})

    assert (first.status_code, again.status_code) == (201, 200)
    assert set(first.json()) == {"version", "checkpoint", "digest", "created_at"}
    assert first.json() == again.json()
    assert is_problem(other, 409, "conflict")
    assert acme.get("projects/study/artifacts").json() == {"items": [first.json()], "next": None}


@pytest.mark.parametrize(
    "fields",
    [
        {"checkpoint": 0}, {"version": "1"}, {"checkpoint": "0", "version": "1"}, {"checkpoint": 0, "version": ""},
        {"checkpoint": 0, "version": " "}, {"checkpoint": 0, "version": "a\rb"}, {"checkpoint": -1, "version": "1"},
        {"checkpoint": 0, "version": "x" * 256},
    ],
)  # fmt: skip
def test_a_version_is_named_properly(acme, study, fields):
    assert is_problem(acme.post("projects/study/artifacts", fields), 422, "invalid")


def test_a_project_that_had_all_its_rounds_is_finished(acme, complete):
    for number in (1, 2, 3):
        complete(number)

    project = acme.get("projects/study").json()

    assert project["state"] == "finished"
    assert project["reasons"][0]["code"] == "rounds_complete"
    assert (project["round"]["phase"], project["checkpoint"]["number"]) == ("complete", 3)
