"""Counts that updates keep up are those that a full look finds, whatever happens; and an update counts nothing else."""

import random
from contextlib import suppress
from dataclasses import replace

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from tests.factories import Study, model
from tests.services.learning.test_rounds import work

from foedus.core.errors import PlatformError
from foedus.records.learning.counting import counted, kept_tally
from foedus.records.learning.models import Invitation, Membership
from foedus.records.learning.people import candidates
from foedus.records.learning.queries import find_open_round, get_project
from foedus.services.learning.clock import tick
from foedus.services.learning.leaving import leave_project, remove_participant
from foedus.services.learning.projects import ChangeProject, Rule, change_project
from foedus.services.learning.rules import policy_of
from foedus.services.learning.tasks import decline

pytestmark = pytest.mark.django_db(transaction=True)

SYNC = Rule(name="quorum", options={"minimum": 2, "ratio": 0.7, "quorum": 0.5, "rounds": None, "deadline_s": 60})
ASYNC = Rule(name="buffered", options={"buffer": 3, "concurrency": 3, "max_staleness": 1, "rounds": None})


class Chance:
    """Members come, work, stumble, vanish and go, and the operator changes the rules, as a seed has it."""

    def __init__(self, study, clock, seed):
        self.study, self.clock = study, clock
        self.random = random.Random(seed)
        self.members = study.join_all("a", "b", "c")

    def happens(self):
        with suppress(PlatformError):  # late, not invited, replayed: refused, which changes no count either
            getattr(self, self.random.choice((*("works",) * 3, "stumbles", "passes", "turns", "joins", "goes")))()
        work(self.study.ports, self.clock)

    def works(self):
        who = self.random.choice(self.members)
        task = self.study.next(who)
        if self.random.random() < 0.8 and hasattr(task, "round"):
            self.study.submit(who, task.round.number, model(self.random.random()))

    def stumbles(self):
        who = self.random.choice(self.members)
        task = self.study.next(who)
        if hasattr(task, "round"):
            decline(self.study.ports, who, self.study.key, task.round.number, "no", now=self.clock())

    def passes(self):
        self.clock.passes(self.random.choice((1, 6, 20)))
        tick(self.study.ports, now=self.clock())

    def turns(self):
        change = ChangeProject(policy=self.random.choice((SYNC, ASYNC)))
        change_project(self.study.ports, self.study.operator, self.study.key, change, now=self.clock())

    def joins(self):
        if len(self.members) < 6:
            self.members.append(self.study.join("x"))

    def goes(self):
        if len(self.members) > 2:
            who = self.members.pop(self.random.randrange(len(self.members)))
            if self.random.random() < 0.5:
                leave_project(self.study.ports, who, self.study.key, now=self.clock())
            else:
                remove_participant(self.study.ports, self.study.operator, self.study.key, who.id, now=self.clock())


def numbers_with_tasks(project):
    return Invitation.objects.filter(round__project=project, state="open").values_list("round__number", flat=True)


@pytest.mark.parametrize("seed", range(3))
def test_what_is_kept_is_what_is_there(ports, clock, seed):
    chance = Chance(Study.create(ports, clock, policy=SYNC), clock, seed)
    looked = 0

    for _ in range(60):
        chance.happens()
        project = get_project("study")
        current = find_open_round(project)
        if current is not None and (kept := kept_tally(current)) is not None:
            assert replace(kept, ready=None) == counted(project, current)
            assert kept.ready != 0 or not [
                c for c in candidates(project, current, policy_of(current), clock()) if c.ready
            ]
            assert current.tasks_from <= min(numbers_with_tasks(project), default=current.number)
            looked += 1

    assert looked > 30
    assert Membership.objects.filter(invitations__state="open").count() <= len(chance.members)


def test_an_update_counts_no_rows_but_those_of_its_member(ports, clock):
    study = Study.create(ports, clock, policy=Rule(name="quorum", options={"minimum": 4}))
    members = study.join_all("a", "b", "c", "d")
    for member in members:
        study.next(member)
    study.submit(members[0], 1, model(1.0))

    with CaptureQueriesContext(connection) as said:
        study.submit(members[1], 1, model(2.0))

    counting = [q["sql"] for q in said.captured_queries if "COUNT(" in q["sql"]]
    assert all('"learning_update"."membership_id" = ' in sql for sql in counting)


def test_an_asynchronous_update_looks_at_no_other_member(ports, clock):
    """Where everybody trains, only its author can have become ready: for the round after the one it was made for."""
    study = Study.create(ports, clock, policy=Rule(name="buffered", options={"buffer": 2, "concurrency": 10}))
    a, b, c = study.join_all("a", "b", "c")
    for member in (a, b, c):
        study.next(member)
    study.submit(a, 1, model(1.0))
    study.submit(b, 1, model(2.0))
    work(ports, clock)

    with CaptureQueriesContext(connection) as said:
        study.submit(c, 1, model(3.0))

    looking = [q["sql"] for q in said.captured_queries if '"seen_at" > ' in q["sql"]]
    assert looking
    assert all('"learning_membership"."id" = ' in sql for sql in looking)
    assert study.next(c).round.number == 2


def test_a_place_that_an_update_frees_goes_to_one_who_waits_for_it(ports, clock):
    study = Study.create(ports, clock, policy=Rule(name="buffered", options={"buffer": 9, "concurrency": 1}))
    people = study.join_all("a", "b", "c")
    for member in people:
        study.next(member)
    for left in (3, 2, 1):
        (trains,) = [p for p in people if hasattr(study.next(p), "round")]
        people.remove(trains)

        study.submit(trains, 1, model(1.0))

        assert kept_tally(find_open_round(get_project("study"))).ready == max(0, left - 2)
