"""A project and its participants, as the services know them, in a time that moves only when nothing else is left to do.

Nobody is slow there: deadlines pass when a round waits for them, and not because training takes long on this machine.
"""

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from django.db import transaction

from foedus.core.arrays import Arrays
from foedus.core.codecs import safetensors
from foedus.core.codecs.packed import ENCODINGS
from foedus.ports import Ports
from foedus.records.accounts.models import Organisation, Participant, User
from foedus.records.learning.models import Checkpoint, Invitation, Membership, Project, Round
from foedus.records.learning.queries import find_latest_checkpoint, get_project
from foedus.records.prepared import PreparedInserts
from foedus.sdk import answers
from foedus.sdk.training import Evaluation
from foedus.services.accounts.credentials import actor_of_user
from foedus.services.learning import clock, tasks
from foedus.services.learning.equipment import Equipment
from foedus.services.learning.projects import CreateProject, Rule, create_project, put_initial_model
from foedus.services.learning.rules import policy_of
from foedus.services.learning.scoring import Reported, report_scores
from foedus.services.learning.submitting import MAX_HELD_BYTES, HandIn, submit_updates
from foedus.services.learning.updates import SubmitUpdate
from foedus.services.learning.waiting import reasons_of
from foedus.services.shell import jobs
from foedus.services.shell.authorisation import Actor, Kind
from foedus.services.shell.staging import Held, Staged, held, staged
from foedus.simulation.app.work import PROJECT, Trained

BEGINNING = datetime(2000, 1, 1, tzinfo=UTC)
BETWEEN_ROUNDS = timedelta(seconds=1)

_add_people = PreparedInserts(Participant, "name")  # a million of them need not be instances
_add_members = PreparedInserts(Membership, "participant_id")

DoJobs = Callable[[Ports, datetime], int]
"""Does what is due at that moment; how many jobs that were."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What the project goes by; the words are those of ``CreateProject``."""

    participants: int
    policy: Rule
    strategy: Rule = field(default_factory=lambda: Rule(name="fedavg"))
    settings: Mapping[str, Any] = field(default_factory=dict)
    update_kind: str = "weights"
    evaluate_every: int = 0
    seed: int = 0


@dataclass(frozen=True, slots=True)
class HandedIn:
    """What came of a participant's task."""

    index: int
    task: answers.Task
    update: Trained


@dataclass(slots=True)
class World:
    """The project named ``simulation``. Participant ``index`` of ``actors`` is called ``participant-<index>``."""

    ports: Ports
    do_jobs: DoJobs
    operator: Actor
    actors: tuple[Actor, ...]
    evaluates: bool
    now: datetime = BEGINNING

    @classmethod
    def create(cls, ports: Ports, do_jobs: DoJobs, plan: Plan, model: Arrays) -> "World":
        """Raises Invalid for rules that do not fit."""
        organisation = Organisation.objects.create(name=PROJECT, created_at=BEGINNING)
        operator = actor_of_user(User.objects.create(username=PROJECT, organisation=organisation))
        create_project(
            ports, operator,
            CreateProject(
                key=PROJECT, strategy=plan.strategy, policy=plan.policy, settings=plan.settings,
                update_kind=plan.update_kind, evaluate_every=plan.evaluate_every, seed=plan.seed,
            ),
            now=BEGINNING,
        )  # fmt: skip
        world = cls(ports, do_jobs, operator, (), evaluates=plan.evaluate_every > 0)
        world._enrol(organisation, plan.participants)
        chunks = safetensors.chunks(model)
        with staged(ports.scratch, chunks, safetensors.size_bytes(model.layout)) as body:
            put_initial_model(ports, operator, PROJECT, body, now=BEGINNING)
        return world

    def _enrol(self, organisation: Organisation, participants: int) -> None:
        """Everybody at once, before the project runs, and there already."""
        project = self.project
        with transaction.atomic():
            _add_people(
                [[f"participant-{i}"] for i in range(participants)], organisation=organisation, created_at=BEGINNING
            )
            people = list(
                Participant.objects.filter(organisation=organisation).order_by("pk").values_list("pk", "name")
            )
            _add_members(
                [[key] for key, _ in people], project=project, joined_at=BEGINNING, seen_at=BEGINNING,
                evaluates=self.evaluates,
            )  # fmt: skip
        self.actors = tuple(Actor(Kind.PARTICIPANT, key, name, organisation.pk) for key, name in people)

    @property
    def project(self) -> Project:
        return get_project(PROJECT)

    def tasks(self) -> list[tuple[int, answers.Task]]:
        """What there is to do now, by participant. Where the policy invites, others have nothing to ask for."""
        project = self.project
        asking = set(range(len(self.actors)))
        if not self.evaluates and policy_of(project).invites:
            invited = Invitation.objects.filter(round__project=project, state=Invitation.State.OPEN)
            ids = set(invited.values_list("membership__participant_id", flat=True))
            asking = {index for index, actor in enumerate(self.actors) if actor.id in ids}
        order = sorted(asking)
        found = zip(order, self._ask([self.actors[index] for index in order]), strict=True)
        return [(index, task) for index, task in found if task is not None]

    def _ask(self, actors: Sequence[Actor]) -> list[answers.Task | None]:
        asked = [tasks.Asking(actor, PROJECT, self.evaluates, explain=False) for actor in actors]
        return [_task(answer) for answer in tasks.next_tasks(self.ports, asked, now=self.now)]

    @property
    def counts_together(self) -> bool:
        """Whether several updates may be handed in before jobs are done: their round stays the same."""
        return not policy_of(self.project).open_ended

    def submit(self, handed_in: Sequence[HandedIn]) -> list[Exception | None]:
        """For each, None where it counts, or what ``submit_update`` raises."""
        with ExitStack() as stack:
            offered = [HandIn(self.actors[one.index], _command(one), self._body(one, stack)) for one in handed_in]
            outcomes = submit_updates(self.ports, offered, now=self.now)
        return [outcome if isinstance(outcome, Exception) else None for outcome in outcomes]

    def _body(self, one: HandedIn, stack: ExitStack) -> Staged | Held:
        data, digest = one.update.data, one.update.digest
        if len(data) <= MAX_HELD_BYTES:
            return held(data, digest)
        return stack.enter_context(staged(self.ports.scratch, [data], len(data), digest))

    def decline(self, index: int, task: answers.Task, kind: str) -> None:
        tasks.decline(self.ports, self.actors[index], PROJECT, task.round or 0, kind, now=self.now)

    def score(self, checkpoint: int, evaluated: Sequence[tuple[int, Evaluation]]) -> list[Exception | None]:
        """What participants say of a checkpoint: for each, None where it counts, or what ``report_score`` raises."""
        said = [Reported(self.actors[index], found.metrics, found.examples) for index, found in evaluated]
        answers = report_scores(self.ports, PROJECT, checkpoint, said, now=self.now)
        return [answer if isinstance(answer, Exception) else None for answer in answers]

    def passes(self, time: timedelta) -> None:
        """Time passes, and everybody is still there."""
        self.now += time
        Membership.objects.filter(project__key=PROJECT, state=Membership.State.ACTIVE).update(seen_at=self.now)

    def leap(self) -> bool:
        """To the next moment at which something happens by itself; False when nothing will."""
        moments = [m for m in (self.project.next_check_at, jobs.next_due_at(self.now)) if m is not None]
        if not moments:
            return False
        self.passes(max(timedelta(0), min(moments) - self.now))
        done = self.do_jobs(self.ports, self.now)
        ticked = clock.tick(self.ports, now=self.now)
        return bool(done or ticked)

    def rounds_after(self, number: int) -> list[Round]:
        """Those that are over, oldest first."""
        over = Round.objects.filter(project__key=PROJECT, number__gt=number, closed_at__isnull=False)
        return list(over.select_related("checkpoint").order_by("number"))

    def reasons(self) -> str:
        return " ".join(reason.text for reason in reasons_of(self.project, self.now))

    def latest(self) -> Checkpoint:
        found = find_latest_checkpoint(self.project)
        assert found is not None, "the project began with a model"  # noqa: S101
        return found


def _task(answer: tasks.Answer | Exception) -> answers.Task | None:
    if isinstance(answer, Exception):
        raise answer
    match answer.task:
        case tasks.Train() as task:
            return _training(answer, task)
        case tasks.Evaluate(checkpoint=checkpoint):
            return answers.Task(
                "evaluate", checkpoint=_checkpoint(checkpoint), settings=answer.project.settings, evaluate=True
            )
    return None


def _command(one: HandedIn) -> SubmitUpdate:
    update = one.update
    return SubmitUpdate(
        project=PROJECT, round=one.task.round or 0, examples=update.examples, metrics=dict(update.metrics)
    )


def _training(answer: tasks.Answer, task: tasks.Train) -> answers.Task:
    """The task as ``run_participant`` would get it."""
    equipment = answer.equipment
    return answers.Task(
        "train",
        round=task.round.number,
        checkpoint=_checkpoint(task.checkpoint),
        settings=task.round.settings if equipment is None else dict(equipment.settings),
        update_kind=answer.project.update_kind,
        encodings=tuple(ENCODINGS),
        strategy=None if equipment is None else _offer(equipment),
        deadline_at=task.round.deadline_at,
        evaluate=task.evaluate,
    )


def _offer(equipment: Equipment) -> answers.StrategyOffer:
    state, needs = equipment.state, equipment.needs
    return answers.StrategyOffer(
        equipment.strategy,
        sends=tuple(needs.sent),
        state=None if state is None else answers.SentState(state.digest, state.size_bytes),
        returns=tuple(needs.returned),
        metrics=tuple(needs.metrics),
    )


def _checkpoint(row: Checkpoint) -> answers.Checkpoint:
    return answers.Checkpoint(row.number, row.digest, row.size_bytes, row.round_number)
