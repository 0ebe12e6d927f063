"""Statistics without some of what they keep, so that they merge with others that never kept it."""

from collections.abc import Iterable
from dataclasses import replace

import numpy as np

from foedus.core.errors import Conflict
from foedus.core.statistics.moments import Moments
from foedus.core.statistics.statistics import Plan, Statistics
from foedus.core.statistics.summary import Summary


def common_plan(plans: Iterable[Plan]) -> Plan:
    """What all of them keep; of no plans the least that there is."""
    found = list(plans)
    targets = set.intersection(*(set(plan.targets) for plan in found)) if found else set[str]()
    return Plan(
        targets=tuple(targets),
        products=bool(found) and all(plan.products for plan in found),
        sketches=bool(found) and all(plan.sketches for plan in found),
    )


def narrowed(statistics: Statistics, plan: Plan) -> Statistics:
    """The statistics as if they had been kept by ``plan``. Raises Conflict for a plan that keeps more."""
    if statistics.plan == plan:
        return statistics
    if common_plan([statistics.plan, plan]) != plan:
        raise Conflict("what was not kept cannot be had later")
    parts = {level: _thin(part, plan) for level, part in statistics.parts.items() if level[0] in plan.targets}
    return replace(statistics, plan=plan, total=_thin(statistics.total, plan), parts=parts)


def _thin(summary: Summary, plan: Plan) -> Summary:
    return replace(
        summary,
        moments=summary.moments if plan.products else _without_products(summary.moments),
        sketches=summary.sketches if plan.sketches else (),
    )


def _without_products(m: Moments) -> Moments:
    if not m.products:
        return m
    return replace(m, products=False, square=m.square[:, m.binary], product=np.zeros((0, 0)))
