"""What is known of how good a project's checkpoints are, and what follows from it. Nothing here changes anything."""

from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime
from math import fsum, isfinite
from typing import Any

from foedus.core.course import EVALUATOR, MAX, UPDATES, EarlyStopping, Evaluation, Metric, Point, best_of, stall
from foedus.core.options import construct
from foedus.core.rounds import Reason
from foedus.ports import Ports
from foedus.records.learning.models import Checkpoint, Project, Score
from foedus.records.learning.queries import find_latest_checkpoint
from foedus.services.shell.jobs import enqueue

EVALUATE_JOB = "evaluate-checkpoint"
PENDING, DONE, FAILED = "pending", "done", "failed"


def evaluation_of(project: Project) -> Evaluation | None:
    return None if not project.evaluation else _built(Evaluation, project.evaluation, "evaluation")


def early_stopping_of(project: Project) -> EarlyStopping | None:
    return None if not project.early_stopping else _built(EarlyStopping, project.early_stopping, "early_stopping")


def best_rule_of(project: Project) -> Metric | None:
    return None if not project.best else _built(Metric, project.best, "best")


def promise_evaluation(ports: Ports, project: Project, checkpoint: Checkpoint, now: datetime) -> None:
    """Have a new checkpoint looked at, if the project wants that: a job of the transaction that publishes it."""
    rule = evaluation_of(project)
    if rule is None or checkpoint.number % rule.every:
        return
    checkpoint.evaluation = {"state": PENDING, "evaluator": rule.name}
    checkpoint.save(update_fields=["evaluation"])
    enqueue(ports, EVALUATE_JOB, f"{project.pk}/{checkpoint.number}", now, checkpoint=checkpoint.pk)


def awaited_evaluation(project: Project) -> Checkpoint | None:
    """The checkpoint that has to be looked at before the next round is opened, where the project wants to wait."""
    rule = evaluation_of(project)
    if rule is None or not rule.wait:
        return None
    return Checkpoint.objects.filter(project=project, evaluation__state=PENDING).order_by("number").first()


def points(project: Project, rule: Metric, since: int = 0) -> list[Point]:
    """The values of the rule's metric from checkpoint ``since`` on; checkpoints without one are left out."""
    rows = Checkpoint.objects.filter(project=project, number__gte=since).order_by("number")
    if rule.source == UPDATES:
        return _finite((number, found.get(rule.metric)) for number, found in rows.values_list("number", "metrics"))
    if rule.source == EVALUATOR:
        looked_at = rows.filter(evaluation__state=DONE).values_list("number", "evaluation")
        return _finite((number, (found or {})["metrics"].get(rule.metric)) for number, found in looked_at)
    return _scores(project, rule.metric, since)


def find_model(project: Project) -> Checkpoint | None:
    """The checkpoint that is the project's model: the best one by its rule, or the latest without a rule or points."""
    rule = best_rule_of(project)
    best = best_of(points(project, rule), rule.mode) if rule is not None else None
    if best is None:
        return find_latest_checkpoint(project)
    return Checkpoint.objects.get(project=project, number=best[0])


def ranking(project: Project) -> list[int]:
    """The numbers of the measured checkpoints, best first; empty without a rule."""
    rule = best_rule_of(project)
    if rule is None:
        return []
    sign = -1 if rule.mode == MAX else 1
    return [number for number, value in sorted(points(project, rule), key=lambda p: (sign * p[1], p[0]))]


def reason_to_stop(project: Project, source: str, *, before: int | None = None) -> Reason | None:
    """Why the project should finish early, judged by what ``source`` measured of checkpoints (``before`` a number)."""
    rule = early_stopping_of(project)
    if rule is None or rule.source != source:
        return None
    known = points(project, rule, project.patience_from)
    found = stall([p for p in known if before is None or p[0] < before], rule)
    if found is None:
        return None
    text = (
        f"{rule.metric} has not got better than {found.value:z.6g}, that of checkpoint {found.best},"
        f" in {found.points} measured checkpoints."
    )
    facts: dict[str, str | int | float | bool | None] = {
        "metric": rule.metric, "best": found.value, "checkpoint": found.best, "points": found.points,
        "patience": rule.patience,
    }  # fmt: skip
    return Reason("early_stopping", text, facts)


def _scores(project: Project, metric: str, since: int) -> list[Point]:
    """Means of what was said of each checkpoint, weighted by examples."""
    said: defaultdict[int, list[tuple[float, float]]] = defaultdict(list)
    rows = Score.objects.filter(checkpoint__project=project, checkpoint__number__gte=since)
    for number, metrics, examples in rows.order_by("checkpoint__number", "pk").values_list(
        "checkpoint__number", "metrics", "examples"
    ):
        if metric in metrics:
            said[number].append((metrics[metric], examples))
    means = [(number, _mean(values)) for number, values in sorted(said.items())]
    return _finite(means)


def _mean(values: Sequence[tuple[float, float]]) -> float:
    total = fsum(weight for _, weight in values)
    return 2 * fsum(value / 2 * (weight / total) for value, weight in values)


def _finite(found: Any) -> list[Point]:
    return [(number, float(value)) for number, value in found if value is not None and isfinite(value)]


def _built(cls: type, options: Any, where: str) -> Any:
    return construct(cls, options, where)
