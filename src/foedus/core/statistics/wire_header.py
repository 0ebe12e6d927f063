"""The JSON header of statistics on the wire: what is kept, of which attributes, and the sizes of what follows."""

import json
from dataclasses import dataclass
from typing import Any

from foedus.core.errors import Invalid
from foedus.core.statistics.distinct import MAX_EXACT, PRECISION
from foedus.core.statistics.schema import Attribute, Kind, Schema
from foedus.core.statistics.sketch import MAX_BINS, MAX_COARSENESS
from foedus.core.statistics.statistics import Level, Plan, Statistics
from foedus.core.statistics.summary import Summary

MAX_ROWS = 1 << 52  # whole numbers up to here are exact as floats
MAX_PARTS = 10_000
_KINDS = {kind.value: kind for kind in Kind}


@dataclass(frozen=True, slots=True)
class SummaryHeader:
    level: Level | None
    rows: int
    groups: int
    sketches: tuple[tuple[int, int], ...]  # coarseness and number of bins


@dataclass(frozen=True, slots=True)
class PatientsHeader:
    key_id: bytes
    hashes: int
    registers: int


@dataclass(frozen=True, slots=True)
class Header:
    plan: Plan
    schema: Schema
    summaries: tuple[SummaryHeader, ...]  # of all rows, then of each part
    patients: PatientsHeader | None


def write(s: Statistics) -> bytes:
    patients = s.patients
    document = {
        "plan": {"products": s.plan.products, "sketches": s.plan.sketches, "targets": list(s.plan.targets)},
        "attributes": [[a.name, a.kind.value, *([list(a.levels)] if a.levels else [])] for a in s.schema.attributes],
        "summaries": [_summary_written(None, s.total), *(_summary_written(k, v) for k, v in s.parts.items())],
        "patients": patients and [patients.key_id.hex(), len(patients.hashes), len(patients.registers)],
    }
    return json.dumps(document, separators=(",", ":"), ensure_ascii=True).encode()


def _summary_written(level: Level | None, summary: Summary) -> list[Any]:
    sketches = [[sketch.coarseness, len(sketch.keys)] for sketch in summary.sketches]
    return [level and list(level), summary.rows, len(summary.moments.counts), sketches]


def read(document: Any) -> Header:
    """Raises Invalid for anything that ``write`` would not have written."""
    match document:
        case {"plan": plan, "attributes": list(attributes), "summaries": [*summaries], "patients": patients}:
            schema = Schema(tuple(_attribute(entry) for entry in attributes))
            c = len(schema.columns) - int(schema.binary.sum())
            read_plan = _plan(plan)
            parts = tuple(_summary(entry) for entry in summaries)
            _check_parts(parts, read_plan, c)
            return Header(read_plan, schema, parts, _patients(patients))
    raise Invalid("these are not statistics: the header lacks something")


def _plan(entry: Any) -> Plan:
    match entry:
        case {"products": bool(products), "sketches": bool(sketches), "targets": list(targets)} if _texts(targets):
            return Plan(targets=tuple(targets), products=products, sketches=sketches)
    raise Invalid("these are not statistics: the plan is not one")


def _attribute(entry: Any) -> Attribute:
    match entry:
        case [str(name), str(kind), *rest] if kind in _KINDS and len(rest) <= 1:
            levels = rest[0] if rest else []
            if isinstance(levels, list) and _texts(levels):
                return Attribute(name, _KINDS[kind], tuple(levels))
    raise Invalid("these are not statistics: an attribute has a name, a kind and, if a category, levels")


def _summary(entry: Any) -> SummaryHeader:
    match entry:
        case [level, rows, groups, list(sketches)] if _whole(rows, MAX_ROWS) and _whole(groups, MAX_ROWS):
            read_level: Level | None = None
            if level is not None:
                if not (isinstance(level, list) and len(level) == 2 and _texts(level)):
                    raise Invalid("these are not statistics: a part has a target and a level")
                read_level = (level[0], level[1])
            return SummaryHeader(read_level, rows, groups, tuple(_sketch(sketch) for sketch in sketches))
    raise Invalid("these are not statistics: a summary has rows, groups and sketches")


def _sketch(entry: Any) -> tuple[int, int]:
    match entry:
        case [coarseness, bins] if _whole(coarseness, MAX_COARSENESS) and _whole(bins, MAX_BINS):
            return coarseness, bins
    raise Invalid("these are not statistics: a sketch has a coarseness and a number of bins")


def _patients(entry: Any) -> PatientsHeader | None:
    match entry:
        case None:
            return None
        case [str(key_id), hashes, registers] if _whole(hashes, MAX_EXACT) and registers in (0, 1 << PRECISION):
            if len(key_id) == 16 and not set(key_id) - set("0123456789abcdef") and bool(hashes) != bool(registers):
                return PatientsHeader(bytes.fromhex(key_id), hashes, registers)
    raise Invalid("these are not statistics: patients are hashes or registers")


def _check_parts(parts: tuple[SummaryHeader, ...], plan: Plan, c: int) -> None:
    if not parts or parts[0].level is not None or any(part.level is None for part in parts[1:]):
        raise Invalid("these are not statistics: the first summary, and no other, is of all rows")
    if len(parts) > MAX_PARTS:
        raise Invalid(f"statistics have at most {MAX_PARTS} parts")
    if any(len(part.sketches) != (c if plan.sketches else 0) for part in parts):
        raise Invalid("these are not statistics: the sketches are not those of the plan")
    if any(part.level and part.level[0] not in plan.targets for part in parts):
        raise Invalid("these are not statistics: a part is of no target of the plan")


def _texts(values: list[Any]) -> bool:
    return all(isinstance(value, str) for value in values)


def _whole(value: Any, most: int) -> bool:
    return type(value) is int and 0 <= value <= most
