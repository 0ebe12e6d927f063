"""The server's own look at checkpoints, and what follows from it: early stopping, and which checkpoint is the model."""

import pytest
from tests.factories import Study, model
from tests.services.learning.test_rounds import work

from foedus.core.errors import Conflict, Invalid, NotFound
from foedus.core.rounds import Phase
from foedus.records.learning.models import Checkpoint, Project, Round, Score
from foedus.records.learning.queries import get_project
from foedus.records.shell.models import Event, Job
from foedus.services.learning.checkpoints import read_best_checkpoint
from foedus.services.learning.evaluating import abandon_evaluation, evaluate_checkpoint
from foedus.services.learning.measuring import EVALUATE_JOB
from foedus.services.learning.projects import ChangeProject, Rule, change_project
from foedus.services.learning.reading import read_project
from foedus.services.learning.scoring import Reported, report_score, report_scores
from foedus.services.learning.tasks import Finished, Train
from foedus.services.shell import jobs
from foedus.services.shell.authorisation import Actor, Kind

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("evaluators")]

ALONE = Rule(name="quorum", options={"minimum": 1, "rounds": None})


def study_of(ports, clock, policy=ALONE, **fields):
    study = Study.create(ports, clock, policy=policy, **fields)
    return study, study.join("a")


def train(study, who, *values, **metrics):
    for value in values:
        task = study.next(who)
        assert isinstance(task, Train)
        study.submit(who, task.round.number, model(value), **metrics)
        work(study.ports, study.clock)


def evaluation(number):
    return Checkpoint.objects.get(number=number).evaluation


def test_each_checkpoint_is_looked_at_and_its_numbers_are_kept_with_it(ports, clock):
    study, a = study_of(ports, clock, evaluation={"name": "mean"})

    train(study, a, 1.5, 2.5)

    found = {c.number: c.evaluation["metrics"] for c in Checkpoint.objects.all()}
    assert found == {0: {"mean": 0.0, "files": 1}, 1: {"mean": 1.5, "files": 1}, 2: {"mean": 2.5, "files": 1}}
    told = Event.objects.filter(kind="checkpoint.evaluated").order_by("seq")
    assert [e.data["checkpoint"] for e in told] == [0, 1, 2]


def test_an_evaluator_may_have_options_and_look_at_some_checkpoints_only(ports, clock):
    study, a = study_of(ports, clock, evaluation={"name": "scaled", "options": {"by": 2.0}, "every": 2})

    train(study, a, 1.0, 2.0)

    assert evaluation(1) is None
    assert evaluation(2)["metrics"] == {"mean": 4.0}


@pytest.mark.parametrize(
    ("name", "options", "why"),
    [
        ("crash", {}, "ValueError: no such data"),
        ("die", {}, "ended by signal 9; at the end it said: out of memory"),
        ("nonsense", {}, "must be a finite number"),
        ("nothing", {}, "gave no number"),
        ("mean", {"unknown": 1}, "unexpected keyword argument"),
        ("scaled", {"by": "x"}, "scaled.by must be a finite number"),
    ],
)
def test_an_evaluator_that_fails_says_why_and_holds_nothing_up(ports, clock, name, options, why):
    study, a = study_of(ports, clock, evaluation={"name": name, "options": options, "wait": True})

    work(ports, clock)
    train(study, a, 1.0)

    assert evaluation(1)["state"] == "failed"
    assert why in evaluation(1)["reason"]["text"]
    assert Event.objects.filter(kind="checkpoint.not_evaluated").count() == 2
    assert isinstance(study.next(a), Train)
    assert "evaluation_failed" in [r.code for r in read_project(study.operator, "study", now=clock()).reasons]


def test_an_evaluator_that_hangs_is_ended_with_all_that_it_started(ports, clock):
    study_of(ports, clock, evaluation={"name": "hang", "timeout_s": 1.0})

    work(ports, clock)

    assert "did not end within 1 seconds" in evaluation(0)["reason"]["text"]


def test_rounds_go_on_while_a_checkpoint_is_looked_at(ports, clock):
    study, a = study_of(ports, clock, evaluation={"name": "mean"})

    assert isinstance(study.next(a), Train)

    assert evaluation(0)["state"] == "pending"


def test_a_project_that_wants_to_wait_says_so_and_goes_on_once_the_look_is_over(ports, clock):
    study, a = study_of(ports, clock, evaluation={"name": "mean", "wait": True})

    waiting = study.next(a).reasons
    assert [r.code for r in waiting] == ["evaluating"]
    assert not Round.objects.exists()
    work(ports, clock)

    assert isinstance(study.next(a), Train)


def test_who_waited_for_a_look_that_was_given_up_goes_on(ports, clock):
    study, a = study_of(ports, clock, evaluation={"name": "mean", "wait": True})
    job = jobs.claim(clock())
    jobs.give_up(job, "trouble")

    abandon_evaluation(ports, job, now=clock())

    assert evaluation(0)["state"] == "failed"
    assert isinstance(study.next(a), Train)


def test_a_look_taken_twice_counts_once(ports, clock):
    study_of(ports, clock, evaluation={"name": "mean"})
    job = jobs.claim(clock())
    evaluate_checkpoint(ports, job, now=clock())
    Job.objects.create(kind=EVALUATE_JOB, subject="again", payload=job.payload, run_at=clock(), created_at=clock())

    work(ports, clock)

    assert Event.objects.filter(kind="checkpoint.evaluated").count() == 1
    assert not Job.objects.filter(kind=EVALUATE_JOB).exists()


def test_a_project_stops_early_when_the_evaluator_sees_nothing_better(ports, clock):
    stopping = {"metric": "mean", "patience": 2}
    study, a = study_of(ports, clock, evaluation={"name": "mean"}, early_stopping=stopping, best={"metric": "mean"})

    train(study, a, 1.0, 3.0, 2.0, 1.0)

    project = get_project("study")
    assert project.state == Project.State.FINISHED
    assert project.finish_reason["code"] == "early_stopping"
    assert project.finish_reason["facts"]["checkpoint"] == 2
    assert not Round.objects.filter(phase__in=("waiting", "collecting")).exists()
    task = study.next(a)
    assert isinstance(task, Finished)
    assert task.checkpoint.number == 2
    assert read_best_checkpoint(study.operator, "study").number == 2


def test_a_round_that_was_open_when_the_project_stopped_says_why_it_ended(ports, clock):
    study, a = study_of(ports, clock, evaluation={"name": "mean"}, early_stopping={"metric": "mean", "patience": 1})
    train(study, a, 0.0)

    assert Round.objects.get(number=2).state is Phase.INVALID
    assert Round.objects.get(number=2).reason["code"] == "early_stopping"


def test_a_project_that_stopped_early_and_is_set_going_again_has_patience_again(ports, clock):
    study, a = study_of(ports, clock, evaluation={"name": "mean"}, early_stopping={"metric": "mean", "patience": 2})
    train(study, a, 1.0, 0.5, 0.5)
    assert get_project("study").state == Project.State.FINISHED

    change_project(ports, study.operator, "study", ChangeProject(state="running"), now=clock())
    train(study, a, 0.5)

    assert get_project("study").state == Project.State.RUNNING
    train(study, a, 0.5)
    assert get_project("study").state == Project.State.FINISHED


def test_what_participants_measure_while_training_can_stop_a_project(ports, clock):
    stopping = {"metric": "loss", "mode": "min", "source": "updates", "patience": 2}
    study, a = study_of(ports, clock, early_stopping=stopping)

    for loss in (1.0, 0.5, 0.6):
        train(study, a, 1.0, loss=loss)
    assert get_project("study").state == Project.State.RUNNING
    train(study, a, 1.0, loss=0.5)

    assert get_project("study").state == Project.State.FINISHED


def test_scores_of_checkpoints_choose_the_model_by_their_weighted_mean(ports, clock):
    study, a = study_of(ports, clock, best={"metric": "accuracy", "source": "scores"})
    train(study, a, 1.0, 2.0)

    report_score(ports, a, "study", 1, {"accuracy": 0.9}, 1.0, now=clock())
    report_score(ports, study.operator, "study", 1, {"accuracy": 0.1}, 3.0, now=clock())
    report_score(ports, a, "study", 2, {"accuracy": 0.4}, 1.0, now=clock())

    assert read_project(study.operator, "study", now=clock()).model == 2  # 0.4 against 0.3


def test_scores_that_come_together_are_each_counted_or_refused(ports, clock):
    study, a = study_of(ports, clock)
    train(study, a, 1.0)
    b, stranger = study.join("b"), Actor(Kind.PARTICIPANT, 999, "x", None)
    said = [(a, {"loss": 1.0}), (b, {"loss": 2.0}), (b, {"loss": 3.0}), (stranger, {"loss": 1.0}), (study.operator, {})]

    report_score(ports, a, "study", 1, {"loss": 1.0}, 1.0, now=clock())
    found = report_scores(ports, "study", 1, [Reported(who, metrics, 1.0) for who, metrics in said], now=clock())

    assert [answer[1] if isinstance(answer, tuple) else type(answer) for answer in found] == [
        False, True, Conflict, NotFound, Invalid,
    ]  # fmt: skip
    assert sorted(Score.objects.values_list("metrics__loss", flat=True)) == [1.0, 2.0]
    kinds = [event.kind for event in Event.objects.order_by("seq")]
    assert kinds.count("score.reported") == 2


def test_without_a_rule_the_latest_checkpoint_is_the_model(ports, clock):
    study, a = study_of(ports, clock)
    train(study, a, 1.0)

    assert read_best_checkpoint(study.operator, "study").number == 1
    assert read_project(study.operator, "study", now=clock()).model == 1


def test_an_evaluator_that_nobody_registered_is_refused_with_the_names_there_are(ports, clock):
    with pytest.raises(Invalid, match=r"is not one of foedus\.evaluators: .*mean"):
        study_of(ports, clock, evaluation={"name": "medium"})


def test_a_project_can_be_left_without_what_it_had(ports, clock):
    study, a = study_of(ports, clock, evaluation={"name": "mean", "wait": True})

    change_project(ports, study.operator, "study", ChangeProject(evaluation={}), now=clock())  # nobody waits any more
    train(study, a, 1.0)

    assert get_project("study").evaluation is None
    assert evaluation(1) is None
