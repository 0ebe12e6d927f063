"""``projects``, ``rounds``, ``status``: what runs, and what it waits for."""

import json
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, TypeVar

import click
from rich.console import Console
from rich.table import Table

from foedus import bootstrap
from foedus.core.errors import Invalid
from foedus.sdk import Member, Operator, Project, Round

F = TypeVar("F", bound=Callable[..., Any])
_SHOWN = 20


def _server_options(command: F) -> F:
    """The options by which a command finds the server."""
    for option in (
        click.option("--json", "as_json", is_flag=True, help="Print JSON, one object a line."),
        click.option("--token", help="Operator token. [default: FOEDUS_OPERATOR_TOKEN, or the data folder's]"),
        click.option("--url", help="Address of the server. [default: FOEDUS_URL, or http://HOST:PORT of the settings]"),
    ):
        command = option(command)
    return command


@click.command()
@_server_options
def projects(url: str | None, token: str | None, *, as_json: bool) -> None:
    """List the projects, their state and what they wait for."""
    with _operator(url, token) as operator:
        found = list(operator.projects())
    if as_json:
        _print_json(_project_fields(project) for project in found)
        return
    columns = ("project", "state", "round", "checkpoint", "participants", "waits for")
    _print_table(columns, [tuple(_project_fields(project).values()) for project in found])


@click.command()
@click.argument("project", required=False)
@click.option("--limit", type=click.IntRange(1, 10_000), default=_SHOWN, show_default=True, help="How many a project.")
@_server_options
def rounds(project: str | None, limit: int, url: str | None, token: str | None, *, as_json: bool) -> None:
    """List the rounds of a project, or of all, newest first."""
    with _operator(url, token) as operator:
        keys = [project] if project else [each.key for each in operator.projects()]
        found = [(key, each) for key in keys for each in islice(operator.rounds(key), limit)]
    rows = [{"project": key, **_round_fields(each)} for key, each in found]
    if as_json:
        _print_json(rows)
        return
    columns = ("project", "round", "phase", "reported", "invited", "lost", "seconds", "metrics", "waits for")
    _print_table(columns, [tuple(row.values()) for row in rows])


@click.command()
@click.argument("project", required=False)
@_server_options
def status(project: str | None, url: str | None, token: str | None, *, as_json: bool) -> None:
    """Say in sentences where a project stands, or all of them, and what it waits for."""
    with _operator(url, token) as operator:
        found = [operator.project(project)] if project else list(operator.projects())
        members = {each.key: list(operator.participants(each.key)) for each in found}
    if as_json:
        _print_json({**_project_fields(each), "members": [m.name for m in members[each.key]]} for each in found)
        return
    if not found:
        click.echo("There are no projects.")
    for each in found:
        _say_status(each, members[each.key])


def _say_status(project: Project, members: Sequence[Member]) -> None:
    click.echo(f"{project.key} is {project.state}.")
    if project.round is not None:
        current = project.round
        click.echo(f"- Round {current.number} is {current.phase}: {current.reported} of {current.invited} handed in.")
    for reason in project.reasons:
        click.echo(f"- {reason.text}")
    for member in members:
        seen = f"last seen {member.seen_at:%Y-%m-%d %H:%M:%S} UTC" if member.seen_at else "never seen"
        click.echo(f"  {member.name}: {seen}")


def _operator(url: str | None, token: str | None) -> Operator:
    options = bootstrap.settings()
    host = f"[{options.host}]" if ":" in options.host else options.host
    address = url or os.environ.get("FOEDUS_URL") or f"http://{host}:{options.port}"
    return Operator(address, token or os.environ.get("FOEDUS_OPERATOR_TOKEN") or _token_file(options.data))


def _token_file(data: Path) -> str:
    path = data / "operator-token"
    try:
        return path.read_text().strip()
    except OSError as exc:
        raise Invalid(
            f"there is no operator token in {path}; give --token, or start the server there once by foedus serve"
        ) from exc


def _project_fields(project: Project) -> Mapping[str, Any]:
    return {
        "project": project.key,
        "state": project.state,
        "round": project.round.number if project.round else None,
        "checkpoint": project.checkpoint.number if project.checkpoint else None,
        "participants": project.participants,
        "reasons": [reason.text for reason in project.reasons],
    }


def _round_fields(current: Round) -> Mapping[str, Any]:
    return {
        "round": current.number,
        "phase": current.phase,
        "reported": current.reported,
        "invited": current.invited,
        "lost": current.lost,
        "seconds": current.seconds,
        "metrics": dict(current.metrics or {}),
        "reasons": [reason.text for reason in current.reasons],
    }


def _print_json(rows: Iterable[Mapping[str, Any]]) -> None:
    for row in rows:
        click.echo(json.dumps(row))


def _print_table(columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    """A table on a terminal, tab-separated lines in a pipe."""
    console = Console()
    if not console.is_terminal:
        for row in rows:
            click.echo("\t".join(_text(cell) for cell in row))
        return
    table = Table(*columns)
    for row in rows:
        table.add_row(*(_text(cell) for cell in row))
    console.print(table)


def _text(cell: Any) -> str:
    match cell:
        case None:
            return "-"
        case float():
            return f"{cell:.2f}"
        case list():
            return " ".join(str(item) for item in cell)
        case dict():
            return ", ".join(f"{name} {_text(value)}" for name, value in cell.items())
    return str(cell)
