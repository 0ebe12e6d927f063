"""What a project keeps of its rows, as its row in the database says it."""

from typing import Any

from foedus.core.companions import Declared, declared
from foedus.core.statistics import Plan
from foedus.records.statistics.models import StatisticsProject

FEDERATED = "federated"
MERGED = frozenset({FEDERATED, "fusion"})  # the kinds of projects that may have parts
SEQUENCE = "sequence"  # the kind of project that learns tokens


def plan_of(fields: Any) -> Plan:
    return Plan(
        targets=tuple(fields.get("targets", ())),
        products=bool(fields.get("products", True)),
        sketches=bool(fields.get("sketches", False)),
    )


def declared_of(project: StatisticsProject) -> Declared:
    """What the project keeps beside its statistics."""
    return declared(project.params, sequences=project.kind == SEQUENCE)


def fields_of(plan: Plan) -> dict[str, Any]:
    return {"targets": list(plan.targets), "products": plan.products, "sketches": plan.sketches}
