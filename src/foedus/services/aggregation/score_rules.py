"""What follows from the clients' scores: an aggregate's own score and, where a model asks for it, an artifact."""

from collections.abc import Mapping
from datetime import datetime
from math import fsum, isfinite
from typing import Any

from foedus.ports import Ports
from foedus.records.aggregation.models import FederatedModel, ModelAggregate
from foedus.records.learning.models import Project
from foedus.services.aggregation.aggregates import publish
from foedus.services.aggregation.errors import FieldInvalid

_KEYS = frozenset({"metric", "publish", "clients"})
MAX_METRIC_CHARACTERS = 255
_MAX_CLIENTS = 2**31 - 1


def check(rule: Any) -> None:
    """Raise FieldInvalid unless this is a rule: ``{"metric": name, "publish": "max" or "min", "clients": n}``."""
    if rule is None:
        return
    if not isinstance(rule, Mapping) or not rule.keys() <= _KEYS:
        raise FieldInvalid("score_rule", f"A rule is an object with some of {', '.join(sorted(_KEYS))}.")
    metric, publish, clients = rule.get("metric"), rule.get("publish"), rule.get("clients", 1)
    if metric is not None and not (isinstance(metric, str) and 0 < len(metric) <= MAX_METRIC_CHARACTERS):
        raise FieldInvalid("score_rule", "metric is the name of one of the clients' results.")
    if publish not in (None, "max", "min"):
        raise FieldInvalid("score_rule", "publish is max, min or null.")
    if type(clients) is not int or not 1 <= clients <= _MAX_CLIENTS:
        raise FieldInvalid("score_rule", "clients is a whole number from 1 up.")


def value_in(results: Any, metric: str | None) -> float | None:
    """The result that counts: the one of that name, else the only number there is."""
    if not isinstance(results, Mapping):
        return _number(results) if metric is None else None
    if metric is not None:
        return _number(results.get(metric))
    numbers = [number for number in map(_number, results.values()) if number is not None]
    return numbers[0] if len(numbers) == 1 else None


def apply(ports: Ports, project: Project, aggregate: ModelAggregate, now: datetime) -> None:
    """Bring the aggregate's score up to date, and publish it if it is the best. The caller holds the lock."""
    model = aggregate.federated_model
    rule = model.score_rule or {}
    found = (value_in(score.validation_results, rule.get("metric")) for score in aggregate.scores.order_by("pk"))
    values = [value for value in found if value is not None]
    if not values:
        return
    if not aggregate.scored_by_hand:
        aggregate.validation_score = _mean(values)
        aggregate.save(update_fields=["validation_score"])
    if rule.get("publish") and len(values) >= rule.get("clients", 1):
        _publish_best(ports, project, model, aggregate, rule["publish"], now)


def _publish_best(
    ports: Ports, project: Project, model: FederatedModel, aggregate: ModelAggregate, direction: str, now: datetime
) -> None:
    if aggregate.checkpoint.artifacts.exists() or aggregate.validation_score is None:
        return
    sign = 1 if direction == "max" else -1
    published = ModelAggregate.objects.filter(
        federated_model=model, checkpoint__artifacts__isnull=False, validation_score__isnull=False
    ).values_list("validation_score", flat=True)
    if all(sign * aggregate.validation_score > sign * score for score in published if score is not None):
        version = f"best-{aggregate.pk}"
        if not model.artifacts.filter(version=version).exists():
            publish(ports, project, aggregate, version, now)


def _mean(values: list[float]) -> float:
    """Each is divided first, so that no sum overflows."""
    return fsum(value / len(values) for value in values)


def _number(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        number = float(value)
    except OverflowError:
        return None
    return number if isfinite(number) else None
