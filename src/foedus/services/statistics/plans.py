"""What a project keeps of its rows, as its row in the database says it."""

from typing import Any

from foedus.core.statistics import Plan


def plan_of(fields: Any) -> Plan:
    return Plan(
        targets=tuple(fields.get("targets", ())),
        products=bool(fields.get("products", True)),
        sketches=bool(fields.get("sketches", False)),
    )


def fields_of(plan: Plan) -> dict[str, Any]:
    return {"targets": list(plan.targets), "products": plan.products, "sketches": plan.sketches}
