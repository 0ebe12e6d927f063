"""Statistics projects and what is handed in to them."""

import json
from datetime import datetime
from math import isfinite
from typing import Any, Self

from foedus.faces.native.answers.base import Out
from foedus.records.statistics.models import StatisticsModel
from foedus.services.statistics.reading import ProjectDescription


class AttributeOut(Out):
    index: int
    name: str
    type: str


class PlanOut(Out):
    """What is kept of rows: statistics that are handed in have to be made by the same plan."""

    targets: list[str]
    products: bool
    sketches: bool


class StatisticsProjectOut(Out):
    name: str
    customer: str
    kind: str
    rows: int
    version: int
    frozen: bool
    attributes: list[AttributeOut]
    models: list[str]
    plan: PlanOut
    created_at: datetime
    modified_at: datetime

    @classmethod
    def of(cls, value: Any) -> Self:
        about: ProjectDescription = value
        row = about.row
        return cls(
            name=row.name, customer=row.customer.cid, kind=row.kind, rows=about.rows, version=row.version,
            frozen=row.frozen, models=[model.name for model in about.models], plan=PlanOut(**row.plan),
            created_at=row.created_at, modified_at=row.modified_at,
            attributes=[
                AttributeOut(index=index, name=name, type=letter)
                for index, (name, letter) in enumerate(about.columns)
            ],
        )  # fmt: skip


class AnswerOut(Out):
    metric: str
    answer: dict[str, Any]


class PredictionOut(Out):
    """What a model says, by the name of its output, a value for each row."""

    columns: dict[str, list[Any]]


class StatisticsModelOut(Out):
    name: str
    algorithm: str
    inputs: list[str]
    targets: list[str]
    options: dict[str, Any]
    version: int
    build_s: float
    created_at: datetime
    fitted: dict[str, Any] | None

    @classmethod
    def of(cls, value: Any, *, numbers: bool = True) -> Self:
        """``version`` is that of the statistics it was built from, ``fitted`` all its numbers if they are wanted."""
        row: StatisticsModel = value
        return cls(
            name=row.name, algorithm=row.algorithm, inputs=row.inputs, targets=row.targets, options=row.options,
            version=row.version, build_s=row.build_s, created_at=row.created_at,
            fitted=json.loads(row.fitted)["model"] if numbers else None,
        )  # fmt: skip


def finite(value: Any) -> Any:
    """With null instead of numbers that JSON does not have."""
    match value:
        case float():
            return value if isfinite(value) else None
        case dict():
            return {name: finite(item) for name, item in value.items()}
        case list():
            return [finite(item) for item in value]
    return value


class ContributionOut(Out):
    key: str
    digest: str
    rows: int
    at: datetime
