"""What is known already is not asked for again, and is what the answer would be."""

import pytest
from tests import factories
from tests.factories import Study

from foedus.core.errors import Conflict
from foedus.records.learning.models import Invitation, Membership, Project
from foedus.records.learning.people import Standing, first_seen, standings
from foedus.records.learning.queries import find_open_round
from foedus.services.learning.bases import layout_of
from foedus.services.learning.projects import Rule

pytestmark = pytest.mark.django_db
TIMEOUT_S = 30.0


@pytest.fixture
def study(ports, clock):
    options = {"minimum": 3, "heartbeat_timeout_s": TIMEOUT_S}
    return Study.create(ports, clock, policy=Rule(name="quorum", options=options))


def test_those_just_invited_are_looked_at_again_when_the_first_of_them_may_be_absent(study, clock):
    participants = study.join_all("a", "b", "c")
    for participant in participants:
        clock.passes(4)
        study.next(participant)

    project = Project.objects.get()
    first = Membership.objects.get(participant_id=participants[0].id)
    assert (clock() - first.seen_at).total_seconds() == 8
    assert first_seen(project, find_open_round(project)) == first.seen_at
    assert (project.next_check_at - first.seen_at).total_seconds() == TIMEOUT_S


def test_how_members_stand_in_a_round_is_one_answer(study, django_assert_num_queries):
    a, b, c, d = study.join_all("a", "b", "c", "d")
    for participant in (a, b, c):
        study.next(participant)
    update, _ = study.submit(a, 1, factories.model(1.0))
    Membership.objects.filter(participant_id=c.id).update(state=Membership.State.REMOVED)
    project = Project.objects.get()
    members = {m.participant_id: m.pk for m in Membership.objects.all()}
    asked = {i.membership_id: i.pk for i in Invitation.objects.all()}

    with django_assert_num_queries(2):
        found = standings(find_open_round(project), list(members.values()))

    assert found == {
        members[a.id]: Standing(asked[members[a.id]], Invitation.State.REPORTED, update.pk),
        members[b.id]: Standing(asked[members[b.id]], Invitation.State.OPEN, None),
        members[d.id]: Standing(None, None, None),
    }
    assert standings(None, [members[b.id], members[c.id]]) == {members[b.id]: Standing(None, None, None)}


def test_a_layout_at_hand_is_that_of_the_projects_row(study):
    project = Project.objects.get()

    assert layout_of(project) is layout_of(Project.objects.get())
    project.layout = [{**project.layout[0], "shape": [9]}]
    assert layout_of(project).to_json() == project.layout
    project.layout = None
    with pytest.raises(Conflict, match="no model yet"):
        layout_of(project)
