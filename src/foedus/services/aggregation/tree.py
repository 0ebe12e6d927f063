"""Aggregates as a tree: each stands below the one that was newest when it was made."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from foedus.records.aggregation.models import FederatedModel, ModelAggregate
from foedus.records.learning.models import Checkpoint


@dataclass(frozen=True, slots=True)
class Place:
    """Where an aggregate stands: everything below it lies between ``left`` and ``right`` of the same ``tree``."""

    left: int
    right: int
    tree: int
    level: int


def latest_aggregate(model: FederatedModel) -> ModelAggregate | None:
    return (
        ModelAggregate.objects.filter(federated_model=model)
        .select_related("checkpoint", "federated_model")
        .order_by("-created_on", "-pk")
        .first()
    )


def add_aggregate(
    model: FederatedModel, checkpoint: Checkpoint, parent: ModelAggregate | None, now: datetime
) -> ModelAggregate:
    """Give a new checkpoint its place. The caller holds the project's lock."""
    return ModelAggregate.objects.create(
        federated_model=model,
        checkpoint=checkpoint,
        parent=parent,
        root_id=None if parent is None else tree_of(parent),
        level=0 if parent is None else parent.level + 1,
        created_on=now,
    )


def tree_of(aggregate: ModelAggregate) -> int:
    """The number of the tree: that of the aggregate at its top."""
    return int(aggregate.root_id or aggregate.pk)


def descendants(aggregate: ModelAggregate) -> list[int]:
    """The primary keys of the aggregate and of all below it."""
    children = _children([tree_of(aggregate)])
    found = [aggregate.pk]
    for pk in found:
        found.extend(children[pk])
    return found


def places(aggregates: Iterable[ModelAggregate]) -> dict[int, Place]:
    """The place of each aggregate in the trees that these belong to, by primary key; one query for all of them."""
    roots = sorted({tree_of(aggregate) for aggregate in aggregates})
    children = _children(roots)
    result: dict[int, Place] = {}
    for root in roots:
        _number(root, children, result)
    return result


def _children(roots: list[int]) -> defaultdict[int, list[int]]:
    rows = ModelAggregate.objects.filter(root__in=roots).order_by("pk").values_list("pk", "parent_id")
    children: defaultdict[int, list[int]] = defaultdict(list)
    for pk, parent in rows:
        if parent is not None:
            children[parent].append(pk)
    return children


def _number(root: int, children: defaultdict[int, list[int]], result: dict[int, Place]) -> None:
    """Walk a tree, counting on at each arrival and each departure."""
    count = 0
    lefts: dict[int, int] = {}
    stack = [(root, 0, False)]
    while stack:
        pk, level, leaving = stack.pop()
        count += 1
        if leaving:
            result[pk] = Place(lefts[pk], count, root, level)
            continue
        lefts[pk] = count
        stack.append((pk, level, True))
        stack.extend((child, level + 1, False) for child in reversed(children[pk]))
