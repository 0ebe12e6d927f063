"""What ``projects``, ``rounds`` and ``status`` show: tables and sentences on a terminal, lines in a pipe, JSON."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import click
from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from foedus.sdk import Member, Project, Round
from foedus.sdk.answers import Reason

OPEN = ("waiting", "collecting", "combining")
MEMBERS_SHOWN = 10
_BAR = 8


@dataclass(frozen=True, slots=True)
class Picture:
    """The same facts three times: ``records`` for JSON, ``rows`` for a pipe, ``drawing`` for people."""

    records: Sequence[Mapping[str, Any]]
    rows: Sequence[Sequence[Any]]
    drawing: RenderableType

    def lines(self, *, as_json: bool) -> list[str]:
        if as_json:
            return [json.dumps(record) for record in self.records]
        return ["\t".join(printable(as_text(cell)) for cell in row) for row in self.rows]

    def show(self, *, as_json: bool) -> None:
        console = Console()
        if console.is_terminal and not as_json:
            console.print(self.drawing)
            return
        for line in self.lines(as_json=as_json):
            click.echo(line)


def projects_picture(found: Sequence[Project]) -> Picture:
    table = _table("project", "state", "round", "checkpoint", "participants")
    for project in found:
        _add(table, *_project_row(project)[:5])
    waits = _waits((project.key, project.reasons) for project in found)
    drawing = Group(table, *waits) if found else Text("There are no projects.")
    return Picture([_project_record(each) for each in found], [_project_row(each) for each in found], drawing)


def rounds_picture(found: Sequence[tuple[str, Round]]) -> Picture:
    """Rounds with the keys of their projects. Only open rounds say what they wait for on a terminal."""
    keys = {key for key, _ in found}
    several = len(keys) > 1
    table = _table(*(["project"] if several else []), "round", "phase", "reported", "lost", "seconds", "metrics")
    for key, each in found:
        cells = (each.number, each.phase, counted(each), each.lost or None, each.seconds, dict(each.metrics or {}))
        _add(table, *([key] if several else []), *cells)
    waits = _waits((f"{key} round {r.number}", r.reasons) for key, r in found if r.phase in OPEN)
    drawing = Group(table, *waits) if found else Text("There are no rounds.")
    return Picture(
        [_round_record(key, each) for key, each in found], [_round_row(k, each) for k, each in found], drawing
    )


def status_picture(found: Sequence[tuple[Project, Sequence[Member]]]) -> Picture:
    sentences = [line for project, members in found for line in _sentences(project, members)]
    drawing = Group(*(Text(printable(line)) for line in sentences or ["There are no projects."]))
    records = [{**_project_record(each), "members": [m.name for m in members]} for each, members in found]
    return Picture(records, [_status_row(each) for each, _ in found], drawing)


def counted(current: Round) -> str:
    """How many of those invited have reported, and a bar of it; nothing as long as nobody is invited."""
    if current.invited == 0:
        return "-"
    done = min(_BAR, _BAR * current.reported // current.invited)
    return f"{current.reported}/{current.invited} " + "█" * done + "░" * (_BAR - done)


def _sentences(project: Project, members: Sequence[Member]) -> Iterable[str]:
    yield f"{project.key} is {project.state}."
    if project.round is not None:
        current = project.round
        handed_in = f": {current.reported} of {current.invited} handed in" if current.invited else ""
        yield f"- Round {current.number} is {current.phase}{handed_in}."
    yield from (f"- {reason.text}" for reason in project.reasons)
    for member in members[:MEMBERS_SHOWN]:
        seen = f"last seen {member.seen_at:%Y-%m-%d %H:%M:%S} UTC" if member.seen_at else "never seen"
        yield f"  {member.name}: {seen}"
    if len(members) > MEMBERS_SHOWN:
        yield f"  and {len(members) - MEMBERS_SHOWN} more"


def _project_row(project: Project) -> tuple[Any, ...]:
    checkpoint = project.checkpoint.number if project.checkpoint else None
    number = project.round.number if project.round else None
    return (project.key, project.state, number, checkpoint, project.participants, _texts(project.reasons))


def _status_row(project: Project) -> tuple[Any, ...]:
    current = project.round
    about = (current.number, current.phase, current.reported, current.invited) if current else (None,) * 4
    return (project.key, project.state, *about, project.participants, _texts(project.reasons))


def _round_row(key: str, each: Round) -> tuple[Any, ...]:
    counts = (each.reported, each.invited, each.lost)
    return (key, each.number, each.phase, *counts, each.seconds, dict(each.metrics or {}), _texts(each.reasons))


def _project_record(project: Project) -> Mapping[str, Any]:
    names = ("project", "state", "round", "checkpoint", "participants")
    return dict(zip(names, _project_row(project), strict=False)) | {"reasons": _objects(project.reasons)}


def _round_record(key: str, each: Round) -> Mapping[str, Any]:
    names = ("project", "round", "phase", "reported", "invited", "lost", "seconds", "metrics")
    return dict(zip(names, _round_row(key, each), strict=False)) | {"reasons": _objects(each.reasons)}


def _objects(reasons: Iterable[Reason]) -> list[Mapping[str, Any]]:
    return [{"code": each.code, "text": each.text, "facts": dict(each.facts)} for each in reasons]


def _texts(reasons: Iterable[Reason]) -> list[str]:
    return [reason.text for reason in reasons]


def _waits(found: Iterable[tuple[str, Sequence[Reason]]]) -> list[Text]:
    return [Text(printable(f"{name}: {' '.join(_texts(reasons))}")) for name, reasons in found if reasons]


def _table(*columns: str) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        # Only the metrics give way on a narrow terminal, over several lines; numbers are never cut.
        table.add_column(column, overflow="fold", no_wrap=column not in ("project", "metrics"))
    return table


def _add(table: Table, *cells: Any) -> None:
    table.add_row(*(Text(printable(as_text(cell))) for cell in cells))


def as_text(cell: Any) -> str:
    match cell:
        case None:
            return "-"
        case float():
            return f"{cell:.4g}" if abs(cell) < 1 else f"{cell:.2f}"
        case list():
            return " ".join(str(item) for item in cell)
        case dict():
            return ", ".join(f"{name} {as_text(value)}" for name, value in cell.items())
    return str(cell)


def printable(text: str) -> str:
    """Without control characters: a participant's name must not steer somebody's terminal, nor end a line."""
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text)
