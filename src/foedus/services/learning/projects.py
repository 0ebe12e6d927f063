"""Projects: made, changed, given their first model, and ended by operators."""

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any

from django.db import IntegrityError, transaction

from foedus.core.course import EarlyStopping, Evaluation, Metric, require_evaluator
from foedus.core.errors import Conflict, Invalid
from foedus.core.options import construct
from foedus.core.registry import build, names
from foedus.core.retention import Retention
from foedus.core.strategies.strategy import needs_of
from foedus.ports import Ports
from foedus.records.learning.models import Checkpoint, Project
from foedus.records.learning.queries import get_project, lock_project
from foedus.records.shell.models import Event
from foedus.services.learning import rounds
from foedus.services.learning.measuring import promise_evaluation
from foedus.services.learning.models_in import checked_model, store
from foedus.services.learning.removal import promise_removal
from foedus.services.learning.rules import check_fewest
from foedus.services.shell import audit
from foedus.services.shell.authorisation import Actor, Verb, organisation_of, require
from foedus.services.shell.events import emit
from foedus.services.shell.staging import Staged

KEY = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
MAX_KEY_CHARACTERS = 64
EVALUATORS = "foedus.evaluators"
COURSE: Mapping[str, type] = {
    "evaluation": Evaluation,
    "early_stopping": EarlyStopping,
    "best": Metric,
    "retention": Retention,
}  # what a project may say of how it goes
_SEED_BOUND = 1 << 31


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """A strategy or policy by name, with its options."""

    name: str
    options: Mapping[str, Any] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        return {"name": self.name, "options": dict(self.options)}


@dataclass(frozen=True, slots=True, kw_only=True)
class CreateProject:
    key: str
    title: str = ""
    strategy: Rule = Rule(name="fedavg")
    policy: Rule = Rule(name="quorum")
    settings: Mapping[str, Any] = field(default_factory=dict)
    update_kind: str = "weights"
    evaluate_every: int = 0
    evaluation: Mapping[str, Any] | None = None
    early_stopping: Mapping[str, Any] | None = None
    best: Mapping[str, Any] | None = None
    retention: Mapping[str, Any] | None = None
    seed: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangeProject:
    """What to change; None leaves a field as it is. Of how the project goes, an empty object switches a part off."""

    title: str | None = None
    strategy: Rule | None = None
    policy: Rule | None = None
    settings: Mapping[str, Any] | None = None
    evaluate_every: int | None = None
    evaluation: Mapping[str, Any] | None = None
    early_stopping: Mapping[str, Any] | None = None
    best: Mapping[str, Any] | None = None
    retention: Mapping[str, Any] | None = None
    state: str | None = None


def create_project(ports: Ports, actor: Actor, command: CreateProject, *, now: datetime) -> tuple[Project, bool]:
    """A new project in the operator's organisation, waiting for its initial model; and whether it is new.

    Saying the same again gives the project that is there. Raises Invalid; Conflict when the key stands for another.
    """
    organisation = organisation_of(actor)
    if organisation is None:
        raise Invalid("you belong to no organisation that could own a project")
    require(actor, Verb.ADMINISTER, organisation)
    _check(command)
    try:
        with transaction.atomic():
            project = Project.objects.create(
                key=command.key,
                title=command.title,
                organisation=organisation,
                strategy=command.strategy.to_json(),
                policy=command.policy.to_json(),
                settings=dict(command.settings),
                update_kind=command.update_kind,
                evaluate_every=command.evaluate_every,
                seed=command.seed,
                **{name: getattr(command, name) for name in COURSE},
                created_at=now,
            )
            emit(ports, project, "project.created", now, key=project.key)
            audit.record(actor, "create", f"project:{project.key}", organisation_id=organisation.pk, now=now)
    except IntegrityError:
        existing = Project.objects.filter(key=command.key, organisation=organisation).first()
        if existing is not None and _is_as_commanded(existing, command):
            return existing, False
        raise Conflict(f"there is a project {command.key!r} already; choose another key", key=command.key) from None
    return project, True


def change_project(ports: Ports, actor: Actor, key: str, command: ChangeProject, *, now: datetime) -> Project:
    """Change a project; strategy, policy and settings hold from the next round on that begins.

    A round that is open but has invited nobody and holds no update has not begun: it takes them over at once.
    Raises Invalid, Conflict, NotFound.
    """
    found = get_project(key)
    require(actor, Verb.CHANGE, found)
    if command.strategy is not None:
        _check_strategy(command.strategy, found.update_kind)
    if command.policy is not None:
        _check_rule("policies", command.policy)
    _check_course(command)
    with transaction.atomic():
        project = lock_project(found.pk)
        changed = _take(project, command)
        if {"policy", "strategy"} & set(changed):
            check_fewest(project.strategy, project.policy)
        if COURSE.keys() & set(changed):
            require_evaluator(project.evaluation, early_stopping=project.early_stopping, best=project.best)
        if changed:
            project.save(update_fields=changed)
            emit(
                ports, project, "project.changed", now,
                fields=changed, policy=project.policy["name"], strategy=project.strategy["name"],
            )  # fmt: skip
        if {"policy", "strategy", "settings"} & set(changed):
            rounds.adopt_rules(ports, project, now)
        if "evaluation" in changed:
            rounds.advance(ports, project, now)
        if command.state is not None and command.state != project.state:
            _change_state(ports, project, command.state, now)
        audit.record(
            actor, "change", f"project:{key}", organisation_id=project.organisation_id, now=now,
            fields=[*changed, *(["state"] if command.state else [])],
        )  # fmt: skip
    return project


def delete_project(ports: Ports, actor: Actor, key: str, *, now: datetime) -> None:
    """Remove a project with all that belongs to it; a job removes its blobs. Of its events the last one stays."""
    found = get_project(key)
    require(actor, Verb.CHANGE, found)
    with transaction.atomic():
        project = lock_project(found.pk)
        Event.objects.filter(stream=project.stream).delete()
        emit(ports, project, "project.deleted", now, key=key)
        audit.record(actor, "delete", f"project:{key}", organisation_id=project.organisation_id, now=now)
        promise_removal(ports, project, now)
        project.delete()


def expect_initial_model(actor: Actor, key: str) -> None:
    """Raise before the body is read if the actor could not put it anyway."""
    require(actor, Verb.CHANGE, get_project(key))


def put_initial_model(ports: Ports, actor: Actor, key: str, body: Staged, *, now: datetime) -> tuple[Checkpoint, bool]:
    """Make the body checkpoint 0, fix the layout and let the project run.

    Gives the checkpoint and whether it is new. Raises Conflict when there is one with other content already.
    """
    found = get_project(key)
    require(actor, Verb.CHANGE, found)
    layout = checked_model(body, kind=found.update_kind)
    if not layout.size:
        raise Invalid("the model has no tensors with values")
    with transaction.atomic():
        project = lock_project(found.pk)
        existing = Checkpoint.objects.filter(project=project, number=0).first()
        if existing is not None:
            if existing.digest != body.digest:
                raise Conflict(f"project {key!r} has an initial model already; make a new project for another one")
            return existing, False
        blob = store(ports, f"projects/{project.pk}/checkpoints", body)
        checkpoint = Checkpoint.objects.create(
            project=project, number=0, digest=body.digest, size_bytes=body.size_bytes, blob=blob, created_at=now
        )
        project.layout = layout.to_json()
        project.save(update_fields=["layout"])
        emit(ports, project, "checkpoint.published", now, checkpoint=0, digest=body.digest)
        promise_evaluation(ports, project, checkpoint, now)
        audit.record(actor, "put_model", f"project:{key}", organisation_id=project.organisation_id, now=now)
        rounds.run(ports, project, now)
    return checkpoint, True


def _check(command: CreateProject) -> None:
    if not KEY.fullmatch(command.key) or len(command.key) > MAX_KEY_CHARACTERS:
        raise Invalid(
            f"a project's key is lower-case letters and digits, in words joined by '-', such as ward-7; "
            f"at most {MAX_KEY_CHARACTERS} characters",
            field="key", found=command.key[:80],
        )  # fmt: skip
    if command.update_kind not in Project.UpdateKind.values:
        raise Invalid(f"update_kind is one of {', '.join(Project.UpdateKind.values)}", field="update_kind")
    if not -_SEED_BOUND <= command.seed < _SEED_BOUND:
        raise Invalid("seed must fit into 32 bits", field="seed")
    _check_strategy(command.strategy, command.update_kind)
    _check_rule("policies", command.policy)
    check_fewest(command.strategy.to_json(), command.policy.to_json())
    _check_course(command)
    require_evaluator(command.evaluation, early_stopping=command.early_stopping, best=command.best)


def _check_course(command: CreateProject | ChangeProject) -> None:
    for name, cls in COURSE.items():
        options = getattr(command, name)
        if options:
            construct(cls, options, name)
    evaluator = (command.evaluation or {}).get("name")
    if evaluator is not None and evaluator not in names(EVALUATORS):
        known = ", ".join(names(EVALUATORS)) or "none"
        raise Invalid(f"{str(evaluator)[:80]!r} is not one of {EVALUATORS}: {known}", field="evaluation")


def _check_strategy(rule: Rule, update_kind: str) -> None:
    """Raise Invalid unless there is such a strategy, and it can work with this kind of updates."""
    kind = needs_of(build("foedus.strategies", rule.name, rule.options)).kind
    if kind is not None and kind != update_kind:
        text = f"the strategy {rule.name} works with updates of kind {kind}, and this project's are {update_kind}"
        raise Invalid(text, field="update_kind")


def _check_rule(group: str, rule: Rule) -> None:
    build(f"foedus.{group}", rule.name, rule.options)


def _take(project: Project, command: ChangeProject) -> list[str]:
    changed = []
    for name in ("title", "evaluate_every"):
        if (value := getattr(command, name)) is not None:
            setattr(project, name, value)
            changed.append(name)
    for name in COURSE:
        if (options := getattr(command, name)) is not None:
            setattr(project, name, dict(options) or None)
            changed.append(name)
    if command.settings is not None:
        project.settings = dict(command.settings)
        changed.append("settings")
    for name in ("strategy", "policy"):
        rule: Rule | None = getattr(command, name)
        if rule is not None:
            setattr(project, name, rule.to_json())
            changed.append(name)
    return changed


def _change_state(ports: Ports, project: Project, state: str, now: datetime) -> None:
    if project.state == Project.State.DRAFT:
        raise Conflict(f"project {project.key!r} has no model yet; put one first")
    match state:
        case Project.State.RUNNING:
            rounds.run(ports, project, now)
        case Project.State.PAUSED:
            if project.state == Project.State.FINISHED:
                raise Conflict(f"project {project.key!r} is finished; set it running to go on")
            rounds.pause(ports, project, now)
        case _:
            raise Invalid("state can be set to running or paused", field="state", found=state)


def _is_as_commanded(project: Project, command: CreateProject) -> bool:
    commanded = {**asdict(command), "strategy": command.strategy.to_json(), "policy": command.policy.to_json()}
    return all(getattr(project, name) == value for name, value in commanded.items())
