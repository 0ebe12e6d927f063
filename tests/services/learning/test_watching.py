"""Who may hear what of a project's events."""

import pytest
from tests.factories import Study, model

from foedus.records.accounts.models import Credential, Organisation, Participant
from foedus.records.shell.models import Event
from foedus.services.accounts.credentials import add_participant_token, create_credential
from foedus.services.learning.projects import Rule, delete_project
from foedus.services.learning.scoring import report_score
from foedus.services.learning.watching import events_after, open_watch

pytestmark = pytest.mark.django_db


@pytest.fixture
def study(ports, clock):
    return Study.create(ports, clock, policy=Rule(name="quorum", options={"minimum": 2}))


@pytest.fixture
def hear(study, clock):
    """All that an actor is told, by kind."""

    def heard(actor):
        if actor.kind == "participant":
            token = f"token of {actor.id}"
            if not Credential.objects.filter(name=token).exists():
                add_participant_token(Participant.objects.get(pk=actor.id), token, now=clock())
        else:
            token = create_credential(actor, "watch", None, now=clock()).token
        told = {}
        for event in events_after(open_watch(actor, "study", token), 0, now=clock()):
            told.setdefault(event.kind, []).append(event.data)
        return told

    return heard


def test_participants_hear_their_own_details_and_that_others_did_something(study, hear, ports, clock):
    a, b = study.join_all("a", "b")
    study.next(a), study.next(b)
    study.submit(a, 1, model(1.0), examples=7, loss=0.5)
    report_score(ports, a, "study", 0, {"accuracy": 0.9}, 3, now=clock())

    own, others, operators = hear(a), hear(b), hear(study.operator)

    assert (own["update.accepted"][0]["examples"], own["score.reported"][0]["by"]) == (7, "a")
    assert (others["update.accepted"], others["score.reported"]) == ([{"round": 1}], [{"checkpoint": 0}])
    assert [data.get("participant") for data in others["participant.joined"]] == [None, "b"]
    assert operators["update.accepted"] == own["update.accepted"]
    assert {kind: len(data) for kind, data in others.items()} == {kind: len(data) for kind, data in operators.items()}


def test_another_organisations_participant_of_the_same_name_is_another(study, hear, clock):
    a = study.join("a")
    elsewhere = Organisation.objects.create(name="elsewhere", created_at=clock())
    twin = Participant.objects.create(organisation=elsewhere, name="a", created_at=clock())
    Event.objects.filter(kind="participant.joined").update(data={"participant": "a", "participant_id": twin.pk})

    assert hear(a)["participant.joined"] == [{}]


def test_of_a_deleted_project_only_its_end_is_told(study, ports, clock):
    token = create_credential(study.operator, "watch", None, now=clock()).token
    watch = open_watch(study.operator, "study", token)
    delete_project(ports, study.operator, "study", now=clock())

    (event,) = events_after(watch, 0, now=clock())

    assert event.kind == "project.deleted"
    assert events_after(watch, event.seq, now=clock()) is None
