"""From one policy or strategy to another, at a round's edge; and what becomes of tasks that do not fit any more."""

from datetime import timedelta

import pytest
from tests.factories import Study, model
from tests.services.learning.test_rounds import work

from foedus.core.errors import Late
from foedus.core.rounds import Phase
from foedus.core.sampling import Draw as Again
from foedus.records.learning.models import Draw, Invitation, Round, Update
from foedus.records.shell.models import Event
from foedus.services.learning.clock import set_right, tick
from foedus.services.learning.projects import ChangeProject, Rule, change_project
from foedus.services.learning.tasks import Asking, Idle, Train, heartbeat, next_tasks

pytestmark = pytest.mark.django_db(transaction=True)


def sync(minimum, **options):
    return Rule(name="quorum", options={"minimum": minimum, "rounds": None, **options})


def buffered(buffer, **options):
    return Rule(name="buffered", options={"buffer": buffer, "rounds": None, **options})


def change(study, **fields):
    return change_project(study.ports, study.operator, study.key, ChangeProject(**fields), now=study.clock())


@pytest.fixture
def study(ports, clock):
    return Study.create(ports, clock, policy=sync(2))


def test_a_round_that_has_not_begun_takes_new_rules_at_once(study):
    a = study.join("a")
    assert isinstance(study.next(a), Idle)

    change(study, policy=sync(1))

    assert isinstance(study.next(a), Train)
    told = Event.objects.get(kind="project.changed").data
    assert told == {"fields": ["policy"], "policy": "quorum", "strategy": "fedavg"}


def test_a_round_under_way_keeps_its_rules_and_the_next_one_has_the_new(study, ports, clock):
    a, b = study.join_all("a", "b")
    study.next(a), study.next(b)

    change(study, policy=buffered(1))
    study.submit(a, 1, model(1.0))
    assert Round.objects.get().state is Phase.COLLECTING
    study.submit(b, 1, model(2.0))
    work(ports, clock)

    assert [r.policy["name"] for r in Round.objects.order_by("number")] == ["quorum", "buffered"]
    opened = Event.objects.filter(kind="round.opened").order_by("seq").last()
    assert opened.data["policy"] == "buffered"


def test_from_asynchronous_to_synchronous_nobody_is_held_by_a_task_of_before(study, ports, clock):
    change(study, policy=buffered(1, concurrency=2))
    a, b = study.join_all("a", "b")
    study.next(a), study.next(b)
    change(study, policy=sync(2))

    study.submit(a, 1, model(1.0))  # fills the buffer; b still trains
    work(ports, clock)

    with pytest.raises(Late):
        study.submit(b, 1, model(2.0))
    tasks = [study.next(a), study.next(b)]
    assert [task.round.number for task in tasks] == [2, 2]


def test_a_round_that_anybody_may_work_for_goes_on_when_the_next_one_will_invite(study, ports, clock):
    """Its own rules say who is given work, or it would never end."""
    a, b = study.join_all("a", "b")
    change(study, policy=Rule(name="requirement", options={"requirement": "all_clients"}))
    study.submit(a, 1, model(1.0))

    change(study, policy=sync(2))

    assert isinstance(study.next(b), Train)
    study.submit(b, 1, model(2.0))
    work(ports, clock)
    assert Round.objects.get(number=1).state is Phase.COMPLETE


def test_a_round_that_invites_goes_on_doing_so_when_anybody_may_work_for_the_next_one(study):
    a, b = study.join_all("a", "b")
    study.next(a), study.next(b)
    late = study.join("c")

    change(study, policy=Rule(name="requirement"))

    assert isinstance(study.next(late), Idle)
    assert isinstance(study.next(a), Train)


def test_signs_of_life_are_as_frequent_as_the_open_round_wants_them_until_it_is_over(study, ports, clock):
    """Else whoever trains for it would count as absent as soon as the next round is to have more patience."""
    a, b = study.join_all("a", "b")
    study.next(a), study.next(b)

    change(study, policy=sync(2, heartbeat_timeout_s=600))
    (answer,) = next_tasks(ports, [Asking(a, study.key, evaluates=False)], now=clock())
    for _ in range(4):
        clock.passes(answer.heartbeat_s)
        assert heartbeat(ports, a, study.key, 1, now=clock())
        tick(ports, now=clock())

    assert answer.heartbeat_s == 5.0
    assert Invitation.objects.get(membership__participant__name="a").state == Invitation.State.OPEN


def test_a_clock_that_was_set_back_while_a_project_was_paused_does_not_make_its_round_wait(study, clock):
    a, b = study.join_all("a", "b")
    study.next(a), study.next(b)
    change(study, state="paused")
    deadline_at = Round.objects.get().deadline_at

    clock.passes(-3600)
    set_right(now=clock())
    change(study, state="running")

    assert Round.objects.get().deadline_at == deadline_at - timedelta(hours=1)


def test_from_synchronous_to_asynchronous_late_updates_are_late(study, ports, clock):
    change(study, policy=sync(2, over_selection=1.0))
    a, b, c = study.join_all("a", "b", "c")
    for who in (a, b, c):
        study.next(who)
    change(study, policy=buffered(5))
    numbers = {who.id: study.next(who) for who in (a, b, c)}
    invited = [who for who in (a, b, c) if isinstance(numbers[who.id], Train)]

    for who in invited[:2]:
        study.submit(who, 1, model(1.0))
    work(ports, clock)

    assert study.next(a).round.number == 2


def test_an_asynchronous_task_outlives_its_round_as_long_as_its_update_would_count(study, ports, clock):
    change(study, policy=buffered(1, concurrency=2, max_staleness=1))
    a, b = study.join_all("a", "b")
    study.next(a), study.next(b)

    study.submit(a, 1, model(1.0))
    work(ports, clock)
    assert heartbeat(ports, b, study.key, 1, now=clock()) is True
    study.submit(a, study.next(a).round.number, model(2.0))
    work(ports, clock)

    assert heartbeat(ports, b, study.key, 1, now=clock()) is False
    assert study.next(b).round.number == 3
    assert not Invitation.objects.filter(state="open", round__number=1).exists()


def test_a_stale_update_counts_for_the_next_round_and_says_how_stale_it_is(study, ports, clock):
    change(study, policy=buffered(1, concurrency=2, max_staleness=5))
    a, b = study.join_all("a", "b")
    study.next(a), study.next(b)
    study.submit(a, 1, model(1.0))
    work(ports, clock)

    study.submit(b, 1, model(2.0))

    update = Update.objects.get(membership__participant_id=b.id)
    assert (update.round.number, update.task_round, update.staleness) == (2, 1, 1)


def test_a_sample_is_kept_with_its_seed_and_can_be_drawn_again(ports, clock):
    study = Study.create(ports, clock, policy=sync(4), seed=7)
    members = study.join_all("a", "b", "c", "d")
    change(study, policy=sync(2, ratio=0.5))
    for member in members:
        clock.passes(0)
        study.next(member)

    invited = set(Invitation.objects.filter(round__number=1).values_list("membership_id", flat=True))
    assert len(invited) == 2
    for draw in Draw.objects.all():
        again = Again(draw.seed, tuple(map(str, draw.pool)), len(draw.positions))
        assert list(again.positions) == draw.positions
        assert draw.seed.startswith("7:1:")
        assert {draw.pool[i] for i in draw.positions} <= invited


def test_who_is_drawn_from_many_is_kept(ports, clock):
    study = Study.create(ports, clock, policy=sync(5), seed=7)
    members = study.join_all("a", "b", "c", "d")
    for member in members:
        study.next(member)

    change(study, policy=sync(3, ratio=0.1))

    draw = Draw.objects.get()
    assert (len(draw.pool), len(draw.positions)) == (4, 3)
    invited = Invitation.objects.values_list("membership_id", flat=True)
    assert {draw.pool[i] for i in draw.positions} == set(invited)
