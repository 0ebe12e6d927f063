import json

import pytest
from django.utils import timezone
from tests import factories
from tests.faces.native.conftest import Api, is_problem

from foedus.records.accounts.models import Credential, Participant
from foedus.records.learning.models import EnrolmentKey, Invitation, Membership, Project
from foedus.records.shell.models import AuditEntry

SECRET = "s" * 43


def test_keys_are_made_by_the_dozen_with_names_that_count(acme, study):
    answer = acme.post("projects/study/enrolment-keys", {"name": "site", "count": 12, "expires_in_s": 60})

    items = answer.json()["items"]
    assert answer.status_code == 201
    assert [item["name"] for item in items] == [f"site-{i}" for i in range(1, 13)]
    assert len({item["key"] for item in items}) == 12
    assert all(item["key"].startswith("fek_") for item in items)
    assert not EnrolmentKey.objects.filter(key_hash__in=[item["key"] for item in items]).exists()


@pytest.mark.parametrize(
    "fields",
    [
        {"count": 0}, {"count": 10_001}, {"count": 1.0}, {"count": True}, {"name": "a\tb"}, {"name": "x" * 256},
        {"expires_in_s": 0}, {"expires_in_s": -1}, {"expires_in_s": 1e12}, {"project": "other"},
    ],
)  # fmt: skip
def test_keys_are_asked_for_properly(acme, study, fields):
    answer = acme.post("projects/study/enrolment-keys", fields)

    assert is_problem(answer, 422, "invalid")
    assert answer.json()["context"]["field"] == next(iter(fields))


def test_a_key_makes_a_participant_and_its_token(study, anonymous):
    answer = anonymous.post("enrol", {"key": study.key_for("clinic")})

    enrolled = answer.json()
    me = Api(enrolled["token"]).get("me").json()
    assert answer.status_code == 201
    assert (enrolled["project"], enrolled["participant"]["name"]) == ("study", "clinic")
    assert me == {"kind": "participant", "name": "clinic", "organisation": "acme", "projects": ["study"]}


def test_a_key_lets_one_in_and_no_second(study, anonymous):
    key = study.key_for()
    anonymous.post("enrol", {"key": key})

    assert is_problem(anonymous.post("enrol", {"key": key}), 403, "forbidden")
    assert is_problem(anonymous.post("enrol", {"key": key, "secret": SECRET}), 403, "forbidden")
    assert Participant.objects.count() == 1


def test_a_lost_answer_comes_again_for_the_same_secret(study, anonymous):
    fields = {"key": study.key_for(), "secret": SECRET}

    first, again = anonymous.post("enrol", fields), anonymous.post("enrol", fields)

    assert (first.status_code, again.status_code) == (201, 200)
    assert first.json() == again.json()
    assert Api(again.json()["token"]).get("me").status_code == 200
    assert Participant.objects.count() == 1


def test_another_secret_gets_nothing(study, anonymous):
    key = study.key_for()
    anonymous.post("enrol", {"key": key, "secret": SECRET})

    answer = anonymous.post("enrol", {"key": key, "secret": "t" * 43})

    assert is_problem(answer, 403, "forbidden")
    assert "fpa_" not in answer.content.decode()


def test_a_revoked_token_does_not_come_back(study, anonymous):
    fields = {"key": study.key_for(), "secret": SECRET}
    token = anonymous.post("enrol", fields).json()["token"]
    Credential.objects.filter(participant__isnull=False).update(revoked_at="2026-01-01T00:00:00Z")

    again = anonymous.post("enrol", fields).json()

    assert again["token"] is None
    assert is_problem(Api(token).get("me"), 401, "unauthenticated")


@pytest.mark.parametrize(
    ("fields", "status", "code"),
    [
        ({"key": "fek_unknown"}, 401, "unauthenticated"),
        ({"key": ""}, 422, "invalid"),
        ({"key": "x" * 257}, 422, "invalid"),
        ({"key": "fek_x", "secret": "short"}, 422, "invalid"),
        ({"key": "fek_x", "secret": "=" * 43}, 422, "invalid"),
        ({"key": "fek_x", "name": "a\u202eb"}, 422, "invalid"),
        ({"key": "fek_x", "admin": True}, 422, "invalid"),
    ],
)
def test_enrolment_is_asked_for_properly(db, anonymous, fields, status, code):
    assert is_problem(anonymous.post("enrol", fields), status, code)


def test_a_key_that_expired_lets_nobody_in(study, anonymous):
    key = study.key_for()
    EnrolmentKey.objects.update(expires_at="2026-01-01T00:00:00Z")

    assert is_problem(anonymous.post("enrol", {"key": key}), 401, "unauthenticated")


def test_a_participant_with_a_token_joins_one_more_project(acme, study, join):
    member = join("a")
    acme.post("projects", {"key": "second"})
    key = acme.post("projects/second/enrolment-keys", {}).json()["items"][0]["key"]

    enrolled = member.post("enrol", {"key": key}).json()

    assert enrolled == {"participant": {"id": member.id, "name": "a"}, "project": "second", "token": None}
    assert member.get("me").json()["projects"] == ["second", "study"]


def test_an_operator_does_not_enrol_and_the_key_stays_good(acme, study, anonymous):
    key = study.key_for()

    assert is_problem(acme.post("enrol", {"key": key}), 403, "forbidden")
    assert anonymous.post("enrol", {"key": key}).status_code == 201


def test_a_wrong_token_is_not_taken_for_none(study):
    answer = Api("fpa_wrong").post("enrol", {"key": study.key_for()})

    assert is_problem(answer, 401, "unauthenticated")
    assert not Participant.objects.exists()


def test_names_that_are_taken_get_a_number(join):
    assert [join("site").name for _ in range(3)] == ["site", "site-2", "site-3"]


@pytest.mark.django_db(transaction=True)
def test_of_two_that_come_at_once_with_one_key_one_gets_in(study, in_threads):
    body = {"key": study.key_for()}

    answers = in_threads(*[lambda: Api().post("enrol", body) for _ in range(4)])

    assert sorted(answer.status_code for answer in answers) == [201, 403, 403, 403]
    assert Membership.objects.count() == 1


def test_members_are_listed_with_what_is_awaited_of_them(acme, training, study, join):
    join("c")
    Membership.objects.filter(participant__name="c").update(obstacle="below battery threshold")

    items = {item["name"]: item for item in acme.get("projects/study/participants").json()["items"]}

    assert set(items["a"]) == {"id", "name", "state", "joined_at", "seen_at", "waiting_for"}
    assert items["a"]["waiting_for"]["facts"] == {"round": 1}
    assert items["c"]["waiting_for"]["code"] == "obstacle"
    assert (items["c"]["seen_at"], items["c"]["state"]) == (None, "active")


def test_the_list_of_members_costs_the_same_however_long(acme, study, join, django_assert_num_queries):
    for number in range(3):
        join(f"p{number}")
    with django_assert_num_queries(4):
        acme.get("projects/study/participants")
    for number in range(10):
        join(f"q{number}")

    with django_assert_num_queries(4):
        page = acme.get("projects/study/participants").json()

    assert len(page["items"]) == 13


def test_a_removed_participant_is_out_and_its_invitation_given_up(acme, training):
    a, _ = training

    removed = [acme.delete(f"projects/study/participants/{a.id}").status_code for _ in range(2)]

    assert removed == [204, 204]
    assert is_problem(a.post("projects/study/heartbeat", {"round": 1}), 401, "unauthenticated")
    assert Invitation.objects.get(membership__participant=a.id).state == "declined"
    assert is_problem(acme.delete("projects/study/participants/999"), 404, "not_found")


def test_who_leaves_its_last_project_has_no_token_any_more(training, acme):
    a, b = training

    answer = a.post("projects/study/leave", {})

    assert (answer.status_code, answer.json()) == (200, {})
    assert is_problem(a.get("projects/study"), 401, "unauthenticated")
    assert b.get("projects/study").status_code == 200
    (entry,) = AuditEntry.objects.filter(verb="revoke")
    assert (entry.actor, entry.details) == ("participant:a", {"participant": a.id})


def test_one_may_leave_one_of_two_projects_and_say_so_twice(training, acme, ports, clock):
    a, _ = training
    acme.post("projects", {"key": "other"})
    assert a.post("enrol", {"key": factories.Study(ports, clock, acme.actor, "other").key_for()}).status_code == 201

    answers = [a.post("projects/study/leave", body) for body in ({}, None)]

    assert [(answer.status_code, answer.json()) for answer in answers] == [(200, {})] * 2
    assert is_problem(a.get("projects/study"), 404, "not_found")
    assert a.get("projects/other").status_code == 200


def test_who_was_removed_comes_back_by_a_new_key_and_token_only(study, acme, anonymous):
    fields = {"key": study.key_for("a"), "secret": "s" * 43}
    first = anonymous.post("enrol", fields).json()
    acme.delete(f"projects/study/participants/{first['participant']['id']}")

    refused = anonymous.post("enrol", fields)
    again = anonymous.post("enrol", {**fields, "key": study.key_for("a")})

    assert is_problem(refused, 403, "forbidden")
    assert again.status_code == 201
    assert again.json()["token"] not in (None, first["token"])


def test_an_operator_that_leaves_takes_no_participant_along(acme, study):
    twin = Participant.objects.create(
        id=acme.actor.id,
        organisation_id=acme.actor.organisation_id,
        name="of the same number",
        created_at=timezone.now(),
    )
    Membership.objects.create(project=Project.objects.get(), participant=twin, joined_at=timezone.now())

    answer = acme.post("projects/study/leave", {})

    assert is_problem(answer, 403, "forbidden")
    assert set(Membership.objects.values_list("state", flat=True)) == {"active"}


def test_a_heartbeat_says_whether_the_round_still_waits(training):
    a, _ = training

    told = [a.post("projects/study/heartbeat", body).json() for body in ({"round": 1}, {"round": 2}, {}, None)]

    assert told == [{"round_open": True}] + [{"round_open": False}] * 3


@pytest.mark.parametrize("number", [-1, 1.5, "1", True, 10**30, [1]])
def test_a_heartbeat_names_a_round_by_its_number(training, number):
    assert is_problem(training[0].post("projects/study/heartbeat", {"round": number}), 422, "invalid")


def test_a_task_may_be_declined_with_a_reason(acme, training):
    a, _ = training

    answers = [a.post("projects/study/rounds/1/decline", {"reason": "on battery"}) for _ in range(2)]

    assert [(answer.status_code, answer.json()) for answer in answers] == [(200, {})] * 2
    assert acme.get("projects/study/rounds/1").json()["lost"] == 1
    assert Invitation.objects.get(membership__participant=a.id).note == "on battery"


@pytest.mark.parametrize("fields", [{}, {"reason": ""}, {"reason": "a\nb"}, {"reason": "x" * 201}, {"reason": 7}])
def test_declining_needs_a_reason_in_one_line(training, fields):
    assert is_problem(training[0].post("projects/study/rounds/1/decline", fields), 422, "invalid")


def test_nobody_declines_what_was_not_offered(study, join):
    answer = join("late").post("projects/study/rounds/1/decline", {"reason": "x"})

    assert is_problem(answer, 404, "not_found")
    assert json.loads(answer.content)["context"] == {"round": 1}
