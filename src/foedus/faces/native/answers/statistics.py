"""Statistics projects and what is handed in to them."""

from datetime import datetime
from typing import Any, Self

from foedus.faces.native.answers.base import Out
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


class ContributionOut(Out):
    key: str
    digest: str
    rows: int
    at: datetime
