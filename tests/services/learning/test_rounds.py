"""A project's rounds, through the services."""

import numpy as np
import pytest
from tests.factories import Study, model

from foedus.core.codecs import safetensors
from foedus.core.errors import Conflict, Forbidden, Late, NotFound, Replayed
from foedus.core.rounds import Phase
from foedus.records.learning.models import Checkpoint, Invitation, Project, Round, Update
from foedus.records.learning.queries import get_project
from foedus.records.shell.models import Event, Job
from foedus.server.work import ABANDONED, HANDLERS, Clockwork
from foedus.services.learning.clock import tick
from foedus.services.learning.projects import ChangeProject, Rule, change_project
from foedus.services.learning.retaining import RETAIN_JOB
from foedus.services.learning.tasks import Finished, Idle, Train, decline, heartbeat
from foedus.services.learning.waiting import reasons_of
from foedus.services.shell import jobs

pytestmark = pytest.mark.django_db(transaction=True)

PAIR = Rule(name="quorum", options={"minimum": 2, "rounds": 2, "deadline_s": 60, "heartbeat_timeout_s": 15})


def work(ports, clock):
    """What a worker does until there is nothing to do."""
    done = 0
    while (job := jobs.claim(clock())) is not None:
        HANDLERS[job.kind](ports, job, now=clock())
        done += 1
    return done


@pytest.fixture
def study(ports, clock):
    return Study.create(ports, clock, policy=PAIR)


def test_a_project_trains_round_after_round_until_it_is_finished(study, ports, clock):
    a, b = study.join_all("a", "b")

    for number in (1, 2):
        study.next(a)
        assert isinstance(study.next(b), Train)
        assert study.next(a).round.number == number
        study.submit(a, number, model(1.0 * number), examples=1, loss=1.0)
        study.submit(b, number, model(4.0 * number), examples=2, loss=4.0)
        assert work(ports, clock) == 1

    project = get_project("study")
    assert project.state == Project.State.FINISHED
    assert isinstance(study.next(a), Finished)
    assert [(r.number, r.phase, r.metrics) for r in Round.objects.order_by("number")] == [
        (1, Phase.COMPLETE, {"loss": 3.0}),
        (2, Phase.COMPLETE, {"loss": 3.0}),
    ]
    assert {job.kind for job in Job.objects.all()} == {RETAIN_JOB}  # in a while, the bytes of its updates go


def test_the_checkpoint_is_the_mean_weighted_by_examples(study, ports, clock):
    a, b = study.join_all("a", "b")
    study.next(a), study.next(b)

    study.submit(a, 1, model(1.0), examples=1)
    study.submit(b, 1, model(4.0), examples=2)
    work(ports, clock)

    blob = Checkpoint.objects.get(number=1).blob
    result = safetensors.decode(b"".join(ports.blobs.read(blob)))
    np.testing.assert_array_equal(result["weight"], np.full((2, 3), 3.0, np.float32))


def test_a_project_waits_for_participants_and_says_so(study, clock):
    a = study.join("a")

    task = study.next(a)

    assert isinstance(task, Idle)
    assert [r.code for r in task.reasons] == ["too_few_participants"]
    assert task.reasons[0].facts == {"connected": 1, "needed": 2}


def test_the_same_update_again_is_the_same_receipt(study):
    a, b = study.join_all("a", "b")
    study.next(a), study.next(b)
    first, is_new = study.submit(a, 1, model(1.0))

    again, is_new_again = study.submit(a, 1, model(1.0))

    assert (is_new, is_new_again, again.pk) == (True, False, first.pk)
    assert Update.objects.count() == 1


def test_another_update_for_the_same_round_is_refused_and_leaves_nothing(study, ports):
    a, b = study.join_all("a", "b")
    study.next(a), study.next(b)
    study.submit(a, 1, model(1.0))
    blobs = [blob.key for blob in ports.blobs.list()]

    with pytest.raises(Replayed):
        study.submit(a, 1, model(2.0))

    assert [blob.key for blob in ports.blobs.list()] == blobs
    assert list(ports.scratch.iterdir()) == []


def test_an_update_without_invitation_is_refused(study):
    a, b = study.join_all("a", "b")
    study.next(a), study.next(b)
    late_comer = study.join("c")

    with pytest.raises(Forbidden, match="not invited to round 1"):
        study.submit(late_comer, 1, model())


def test_an_update_for_a_round_that_is_over_is_late(study, ports, clock):
    a, b = study.join_all("a", "b")
    study.next(a), study.next(b)
    study.submit(a, 1, model(1.0))
    study.submit(b, 1, model(2.0))
    work(ports, clock)

    stranger = study.join("c")
    with pytest.raises(Late, match="round 1 is over"):
        study.submit(stranger, 1, model())


def test_an_update_for_a_round_that_never_was_is_not_found(study):
    a = study.join("a")

    with pytest.raises(NotFound, match="no round 7"):
        study.submit(a, 7, model())


def test_a_participant_that_vanishes_is_replaced(study, ports, clock):
    a, b = study.join_all("a", "b")
    study.next(a), study.next(b)
    clock.passes(10)
    heartbeat(ports, a, "study", 1, now=clock())
    clock.passes(6)
    c = study.join("c")
    study.next(c)

    tick(ports, now=clock())

    assert isinstance(study.next(c), Train)
    assert Invitation.objects.get(membership__participant_id=b.id).state == Invitation.State.LOST
    assert Event.objects.filter(kind="participant.lost").count() == 1


def test_a_participant_that_comes_back_may_still_hand_in(study, ports, clock):
    a, b = study.join_all("a", "b")
    study.next(a), study.next(b)
    clock.passes(16)
    heartbeat(ports, a, "study", 1, now=clock())
    tick(ports, now=clock())

    study.submit(b, 1, model(2.0))
    study.submit(a, 1, model(1.0))

    assert Round.objects.get(number=1).phase == Phase.COMBINING


def test_a_declined_task_no_longer_holds_the_round_up(ports, clock):
    policy = Rule(name="quorum", options={"minimum": 2, "quorum": 0.5, "rounds": 1})
    study = Study.create(ports, clock, policy=policy)
    a, b = study.join_all("a", "b")
    study.next(a), study.next(b)
    study.submit(a, 1, model(1.0))

    decline(ports, b, "study", 1, "no data", now=clock())
    work(ports, clock)

    assert Round.objects.get(number=1).phase == Phase.COMPLETE


def test_a_round_that_all_others_have_done_does_not_wait_for_who_failed(study, ports, clock):
    a, b = study.join_all("a", "b")
    study.next(a), study.next(b)
    decline(ports, b, "study", 1, "ValueError", now=clock())
    clock.passes(0.5)
    study.submit(a, 1, model(1.0))
    assert isinstance(study.next(b), Idle)
    clock.passes(0.5)

    tick(ports, now=clock())

    first, second = Round.objects.order_by("number")
    assert (first.phase, second.phase) == (Phase.INVALID, Phase.COLLECTING)
    assert "1 of 2 invited gave up or fell silent" in first.reason["text"]
    assert isinstance(study.next(b), Train)


def test_a_round_without_enough_updates_is_invalid_at_its_deadline_and_the_next_begins(study, ports, clock):
    a, b = study.join_all("a", "b")
    study.next(a), study.next(b)
    study.submit(a, 1, model(1.0))
    for _ in range(6):
        clock.passes(10)
        heartbeat(ports, a, "study", 1, now=clock())
        heartbeat(ports, b, "study", 1, now=clock())

    tick(ports, now=clock())

    first, second = Round.objects.order_by("number")
    assert (first.phase, second.phase) == (Phase.INVALID, Phase.COLLECTING)
    assert first.reason["code"] == "too_few_updates"
    assert second.base.number == 0


def test_ticking_twice_changes_nothing_more(study, ports, clock):
    a, b = study.join_all("a", "b")
    study.next(a), study.next(b)
    clock.passes(100)
    tick(ports, now=clock())
    events = Event.objects.count()

    tick(ports, now=clock())

    assert Event.objects.count() == events


def test_a_combine_that_starts_again_after_a_crash_makes_one_checkpoint(study, ports, clock):
    a, b = study.join_all("a", "b")
    study.next(a), study.next(b)
    study.submit(a, 1, model(1.0))
    study.submit(b, 1, model(2.0))
    dead = jobs.claim(clock())
    clock.passes(7)

    again = jobs.claim(clock())
    HANDLERS[again.kind](ports, again, now=clock())
    with pytest.raises(Conflict):
        HANDLERS[dead.kind](ports, dead, now=clock())

    assert [c.number for c in Checkpoint.objects.order_by("number")] == [0, 1]


def test_updates_of_many_at_once_are_each_counted_once(ports, clock, in_threads):
    policy = Rule(name="quorum", options={"minimum": 8, "rounds": 1})
    study = Study.create(ports, clock, policy=policy)
    everybody = study.join_all(*"abcdefgh")
    for participant in everybody:
        study.next(participant)

    results = in_threads(
        *(lambda p=p, i=i: study.submit(p, 1, model(float(i % 8))) for i, p in enumerate(everybody * 2))
    )

    errors = [r for r in results if isinstance(r, Exception)]
    assert errors == []
    assert sum(is_new for _, is_new in results) == 8
    assert Update.objects.count() == 8
    assert Job.objects.count() == 1


def test_what_a_project_waits_for_is_said_in_every_state(ports, clock):
    study = Study.create(ports, clock, start=False)
    reasons = {"draft": reasons_of(get_project("study"), clock())[0].code}
    study.put_model(model())
    reasons["running"] = reasons_of(get_project("study"), clock())[0].code
    change_project(ports, study.operator, "study", ChangeProject(state="paused"), now=clock())
    reasons["paused"] = reasons_of(get_project("study"), clock())[0].code

    assert reasons == {"draft": "no_model", "running": "too_few_participants", "paused": "paused"}


def test_moments_of_a_strategy_go_on_from_round_to_round(ports, clock):
    study = Study.create(ports, clock, policy=PAIR, strategy=Rule(name="fedadam"))
    a, b = study.join_all("a", "b")
    for number in (1, 2):
        study.next(a), study.next(b)
        study.submit(a, number, model(1.0))
        study.submit(b, number, model(2.0))
        work(ports, clock)

    first, second = Checkpoint.objects.filter(number__gt=0).order_by("number")
    assert first.state_blob
    assert second.state_blob
    assert first.digest != second.digest


def test_another_strategy_begins_anew_from_the_model_as_it_is_and_says_so(ports, clock):
    rule = Rule(name="quorum", options={"minimum": 1})
    study = Study.create(ports, clock, policy=rule, strategy=Rule(name="fedadam"))
    a = study.join("a")

    def trained(number, value):
        study.next(a)
        study.submit(a, number, model(value))
        work(ports, clock)
        latest = Checkpoint.objects.get(number=number)
        return safetensors.decode(b"".join(ports.blobs.read(latest.blob)))["weight"]

    trained(1, 1.0)
    change_project(ports, study.operator, "study", ChangeProject(strategy=Rule(name="fedavgm")), now=clock())
    trained(2, 2.0)  # this round began before the change
    third = trained(3, 4.0)

    np.testing.assert_allclose(third, 4.0, rtol=1e-6)  # a first step is the mean: nothing of fedadam's is in it
    (told,) = [event.data for event in Event.objects.filter(kind="strategy.changed")]
    assert (told["before"], told["strategy"]) == ("fedadam", "fedavgm")
    assert (told["round"], told["checkpoint"], told["goes_on"]) == (3, 2, False)


def test_a_change_of_strategy_in_a_round_that_waits_is_told_with_what_else_happens(ports, clock):
    study = Study.create(ports, clock, strategy=Rule(name="fedadam"))
    study.join("a")
    change = ChangeProject(strategy=Rule(name="fedavgm"), state="paused")

    change_project(ports, study.operator, "study", change, now=clock())

    events = Event.objects.filter(stream=get_project("study").stream).order_by("seq")
    assert [each.seq for each in events] == list(range(1, len(events) + 1))
    assert {"strategy.changed", "project.changed"} <= {each.kind for each in events}


def test_members_train_without_invitation_where_the_policy_invites_nobody(ports, clock):
    study = Study.create(ports, clock, policy=Rule(name="requirement", options={"requirement": "all_clients"}))
    a, b = study.join_all("a", "b")
    assert isinstance(study.next(a), Train)
    study.submit(a, 1, model(1.0))
    assert isinstance(study.next(a), Idle)
    assert study.next(a).reasons[0].text == "1 of 2 registered participants handed in an update; 1 missing."
    assert "b was never seen" in reasons_of(get_project("study"), clock())[0].text

    study.submit(b, 1, model(3.0))
    work(ports, clock)

    assert study.next(a).round.number == 2


def test_buffered_rounds_take_updates_of_earlier_rounds_and_count_their_staleness(ports, clock):
    study = Study.create(ports, clock, policy=Rule(name="buffered", options={"buffer": 1, "rounds": 5}))
    a, b = study.join_all("a", "b")
    study.next(a), study.next(b)
    study.submit(a, 1, model(1.0))
    work(ports, clock)

    update, _ = study.submit(b, 1, model(2.0))

    assert (update.round.number, update.task_round, update.staleness) == (2, 1, 1)


def test_a_task_grown_too_stale_is_refused_and_replaced_by_a_fresh_one(ports, clock):
    options = {"buffer": 1, "rounds": 5, "max_staleness": 0}
    study = Study.create(ports, clock, policy=Rule(name="buffered", options=options))
    a, b = study.join_all("a", "b")
    study.next(a), study.next(b)
    study.submit(a, 1, model(1.0))
    work(ports, clock)

    with pytest.raises(Late):
        study.submit(b, 1, model(2.0))

    assert study.next(b).round.number == 2


def test_a_combine_that_fails_for_good_ends_its_round_and_pauses_the_project(study, ports, clock):
    a, b = study.join_all("a", "b")
    study.next(a), study.next(b)
    study.submit(a, 1, model(1.0))
    study.submit(b, 1, model(2.0))
    job = jobs.claim(clock())
    jobs.give_up(job, "no memory")

    ABANDONED[job.kind](ports, job, now=clock())

    current = Round.objects.get(number=1)
    assert current.phase == Phase.INVALID
    assert "no memory" in current.reason["text"]
    assert get_project("study").state == Project.State.PAUSED


def test_nobody_is_given_the_same_task_twice(ports, clock):
    """Who trains by rote would hand in the same bytes again, for ever: they are a repetition."""
    study = Study.create(ports, clock, policy=Rule(name="buffered", options={"buffer": 3, "rounds": 2}))
    a, b = study.join_all("a", "b")
    study.next(a), study.next(b)

    study.submit(a, 1, model(1.0))
    idle = study.next(a)
    study.submit(b, 1, model(2.0))
    work(ports, clock)

    assert isinstance(idle, Idle)
    assert Update.objects.count() == 2
    assert study.next(a).round.number == 2


@pytest.mark.parametrize("hours", [1, 24])
def test_a_clock_that_is_set_back_holds_nobody_up(study, ports, clock, hours):
    clockwork = Clockwork()
    clock.passes(hours * 3600)
    a, b = study.join_all("a", "b")
    study.next(a), study.next(b)
    clockwork.tick(ports, now=clock())
    study.submit(a, 1, model(1.0))

    clock.passes(-hours * 3600)
    clockwork.tick(ports, now=clock())
    clock.passes(16)
    heartbeat(ports, a, "study", 1, now=clock())
    clockwork.tick(ports, now=clock())
    lost = Invitation.objects.get(membership__participant_id=b.id).state
    clock.passes(44)
    clockwork.tick(ports, now=clock())

    assert lost == Invitation.State.LOST
    assert Round.objects.get(number=1).phase == Phase.INVALID


def test_a_job_written_before_the_clock_was_set_back_is_done_at_once(study, ports, clock):
    clock.passes(3600)
    a, b = study.join_all("a", "b")
    study.next(a), study.next(b)
    study.submit(a, 1, model(1.0))
    study.submit(b, 1, model(2.0))

    clock.passes(-3600)
    first = jobs.claim(clock())
    clock.passes(-3600)
    second = jobs.claim(clock())

    assert first.kind == "combine"
    assert second.pk == first.pk, "the lease of a worker that died lapses"
    assert jobs.claim(clock()) is None


def test_a_clock_that_goes_a_day_ahead_and_comes_back_costs_one_round(study, ports, clock):
    clockwork = Clockwork()
    a, b = study.join_all("a", "b")
    study.next(a), study.next(b)
    study.submit(a, 1, model(1.0))
    clock.passes(86_400)
    clockwork.tick(ports, now=clock())
    study.next(a), study.next(b)
    study.submit(a, 2, model(1.0))

    clock.passes(-86_400)
    clockwork.tick(ports, now=clock())
    study.submit(b, 2, model(2.0))
    work(ports, clock)

    assert list(Round.objects.order_by("number").values_list("phase", flat=True))[:2] == [Phase.INVALID, Phase.COMPLETE]
    assert isinstance(study.next(a), Train)
