"""Outlines as bytes: JSON without blanks, hostile when it comes from another node."""

import json
from typing import Any

from foedus.core.codecs import strict_json
from foedus.core.errors import Invalid
from foedus.core.federation.inspection import MAX_COLUMNS
from foedus.core.federation.outlines import Outline
from foedus.core.statistics import Attribute, Kind, Plan, Schema

MAX_BYTES = 16 << 20


def outline_bytes(outline: Outline) -> bytes:
    plan = outline.plan
    document = {
        "plan": [list(plan.targets), plan.products, plan.sketches],
        "attributes": [[a.name, a.kind.value, list(a.levels)] for a in outline.schema.attributes],
        "together": list(outline.together), "boxes": [list(box) for box in outline.boxes], "rows": outline.rows,
    }  # fmt: skip
    return json.dumps(document, separators=(",", ":")).encode()


def outline_from(data: bytes) -> Outline:
    """Raises Invalid for anything that ``outline_bytes`` would not have written."""
    if len(data) > MAX_BYTES:
        raise Invalid(f"the outline of a node's statistics has more than {MAX_BYTES} bytes")
    match strict_json.parse(data, max_depth=4):
        case {
            "plan": [list(targets), bool(products), bool(sketches)], "attributes": list(attributes),
            "together": list(together), "boxes": list(boxes), "rows": int(rows),
        } if _whole([*together, rows]) and _texts(targets):  # fmt: skip
            schema = Schema(tuple(_attribute(each) for each in attributes))
            if len(schema.columns) > MAX_COLUMNS:
                raise Invalid(f"the outline of a node's statistics has more than {MAX_COLUMNS} attributes")
            plan = Plan(targets=tuple(targets), products=products, sketches=sketches)
            found = Outline(plan, schema, tuple(together), tuple(_box(each) for each in boxes), rows)
            if outline_bytes(found) == data:
                return found
    raise Invalid("this is no outline of a node's statistics")


def _attribute(entry: Any) -> Attribute:
    match entry:
        case [str(name), str(kind), list(levels)] if kind in list(Kind) and _texts(levels):
            return Attribute(name, Kind(kind), tuple(levels))
    raise Invalid("the outline of a node's statistics has an attribute that is none")


def _box(entry: Any) -> tuple[float, float]:
    match entry:
        case [float(low), float(high)]:
            return low, high
    raise Invalid("the outline of a node's statistics has a range that is none")


def _whole(values: list[Any]) -> bool:
    return all(type(value) is int for value in values)


def _texts(values: list[Any]) -> bool:
    return all(isinstance(value, str) for value in values)
