"""Nobody sees, or learns of, what is not theirs: every route of the control plane is asked by the wrong people."""

import re

import pytest
from tests.faces.native.conftest import is_problem

from foedus.faces.native.api import build
from foedus.faces.native.openapi import PREFIX

BODIES = {
    "create_project": {"key": "p"},
    "change_project": {"title": "x"},
    "create_credential": {"name": "x"},
    "enrol": {"key": "fek_x"},
    "decline": {"reason": "x"},
    "begin_upload": {"size_bytes": 1, "digest": "0" * 64},
    "submit_upload": {"upload": "0" * 32, "examples": 1},
    "create_statistics_project": {"name": "p"},
    "report_score": {"metrics": {"a": 1}, "examples": 1},
    "publish_artifact": {"checkpoint": 0, "version": "1"},
}
PUBLIC = {"about", "enrol"}
OF_OPERATORS = {
    "change_project",
    "delete_project",
    "list_updates",
    "make_enrolment_keys",
    "list_participants",
    "list_scores",
    "list_draws",
    "list_invitations",
    "publish_artifact",
}
OF_PARTICIPANTS = {"leave", "heartbeat", "decline", "begin_upload", "get_upload", "submit_upload"}


def routes():
    paths = build().get_openapi_schema(path_prefix=PREFIX)["paths"]
    return [
        (method.upper(), path.removeprefix(PREFIX), operation["operationId"])
        for path, entry in sorted(paths.items())
        for method, operation in entry.items()
    ]


ROUTES = routes()
OF_PROJECTS = [route for route in ROUTES if route[1].startswith("projects/{project}")]


def filled(path, **values):
    defaults = {"project": "study", "number": "0" if "checkpoints" in path else "1", "upload": "0" * 32}
    return re.sub(
        r"\{(\w+)\}",
        lambda m: str({**defaults, "participant": 1, "credential": 1, "customer": "c1", "model": "m", **values}[m[1]]),
        path,
    )


@pytest.mark.parametrize(("method", "path", "name"), [r for r in ROUTES if r[2] not in PUBLIC])
def test_nothing_is_done_without_a_token(db, anonymous, method, path, name):
    answer = anonymous.call(method, filled(path), BODIES.get(name))

    assert is_problem(answer, 401, "unauthenticated")
    assert answer.headers["WWW-Authenticate"] == "Bearer"


@pytest.mark.parametrize(("method", "path", "name"), OF_PROJECTS)
def test_another_organisations_project_looks_like_none(rival, study, method, path, name):
    theirs = rival.call(method, filled(path), BODIES.get(name))
    none = rival.call(method, filled(path, project="nosuch"), BODIES.get(name))

    assert is_problem(theirs, 404, "not_found")
    assert theirs.content == none.content.replace(b"nosuch", b"study")


@pytest.mark.parametrize(("method", "path", "name"), OF_PROJECTS)
def test_a_project_that_a_participant_is_no_member_of_looks_like_none(acme, study, join, method, path, name):
    member = join()
    acme.post("projects", {"key": "other"})

    answer = member.call(method, filled(path, project="other"), BODIES.get(name))

    assert is_problem(answer, 404, "not_found")


@pytest.mark.parametrize(("method", "path", "name"), [r for r in ROUTES if r[2] in OF_OPERATORS])
def test_a_participant_may_not_do_what_operators_do(join, method, path, name):
    member = join()

    assert is_problem(member.call(method, filled(path), BODIES.get(name)), 403, "forbidden")


@pytest.mark.parametrize(("method", "path", "name"), [r for r in ROUTES if r[2] in OF_PARTICIPANTS])
def test_an_operator_may_not_work_as_a_participant(acme, study, method, path, name):
    assert is_problem(acme.call(method, filled(path), BODIES.get(name)), 403, "forbidden")


@pytest.mark.parametrize("path", ["audit", "credentials"])
def test_a_participant_sees_neither_the_trail_nor_tokens(join, path):
    assert is_problem(join().get(path), 403, "forbidden")


def test_a_participant_may_not_create_projects_or_tokens(join):
    member = join()

    assert is_problem(member.post("projects", {"key": "mine"}), 403, "forbidden")
    assert is_problem(member.post("credentials", {"name": "x"}), 403, "forbidden")


def test_a_participant_may_not_remove_others(study, join):
    a, b = join("a"), join("b")

    assert is_problem(a.delete(f"projects/study/participants/{b.id}"), 403, "forbidden")


def test_a_participant_reads_rounds_and_checkpoints_of_its_project(training):
    a, _ = training

    found = [a.get(f"projects/study{path}").status_code for path in ("", "/rounds", "/rounds/1", "/checkpoints/latest")]

    assert found == [200] * 4


def test_lists_leave_out_what_belongs_to_others(acme, rival, study, join):
    rival.post("projects", {"key": "secret"})
    rival.post("credentials", {"name": "rivals"})
    member = join()

    seen = [[item["key"] for item in api.get("projects").json()["items"]] for api in (acme, rival, member)]
    names = {item["name"] for item in acme.get("credentials").json()["items"]}
    trail = {item["object"] for item in acme.get("audit").json()["items"]}

    assert seen == [["study"], ["secret"], ["study"]]
    assert "rivals" not in names
    assert not any("secret" in obj for obj in trail)


def test_anothers_credential_is_not_there_to_be_revoked(acme, rival):
    theirs = rival.get("credentials").json()["items"][0]["id"]

    assert is_problem(acme.delete(f"credentials/{theirs}"), 404, "not_found")
    assert rival.get("me").status_code == 200


def test_every_route_is_asked_by_somebody_wrong():
    """A new route must be placed in one of the groups above, or be open to members and operators alike."""
    shared = {
        "get_project", "list_rounds", "get_round", "list_checkpoints", "get_checkpoint", "report_score",
        "list_artifacts", "remove_participant",
    }  # fmt: skip

    assert {name for _, _, name in OF_PROJECTS} == OF_OPERATORS | OF_PARTICIPANTS | shared
