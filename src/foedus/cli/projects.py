"""``projects``, ``rounds``, ``status``: what runs, and what it waits for."""

from collections.abc import Callable
from itertools import islice
from pathlib import Path
from typing import Any, TypeVar

import click

from foedus.cli.showing import Picture, projects_picture, rounds_picture, status_picture
from foedus.cli.watching import Read, watch
from foedus.core.errors import Invalid
from foedus.options import Settings, settings
from foedus.sdk import Operator

F = TypeVar("F", bound=Callable[..., Any])
_SHOWN = 20


def server_options(command: F) -> F:
    """The options by which a command finds the server."""
    for option in (
        click.option(
            "--token",
            envvar="FOEDUS_OPERATOR_TOKEN",
            help="Operator token. [default: FOEDUS_OPERATOR_TOKEN, or the data folder's]",
        ),
        click.option(
            "--url",
            envvar="FOEDUS_URL",
            help="Address of the server. [default: FOEDUS_URL, or http://HOST:PORT of the settings]",
        ),
    ):
        command = option(command)
    return command


def _looking_options(command: F) -> F:
    """Those, and how a command shows what it finds."""
    for option in (
        click.option(
            "--watch", "watching", is_flag=True, help="Show it again whenever something happens, until Ctrl-C."
        ),
        click.option("--json", "as_json", is_flag=True, help="Print JSON, one object a line."),
    ):
        command = option(command)
    return server_options(command)


@click.command()
@_looking_options
def projects(url: str | None, token: str | None, *, as_json: bool, watching: bool) -> None:
    """List the projects, their state and what they wait for."""
    with operator_of(url, token) as operator:

        def read() -> tuple[Picture, list[str]]:
            found = list(operator.projects())
            return projects_picture(found), [each.key for each in found]

        _show(operator, read, as_json=as_json, watching=watching)


@click.command()
@click.argument("project", required=False)
@click.option("--limit", type=click.IntRange(1, 10_000), default=_SHOWN, show_default=True, help="How many a project.")
@_looking_options
def rounds(
    project: str | None, limit: int, url: str | None, token: str | None, *, as_json: bool, watching: bool
) -> None:
    """List the rounds of a project, or of all, newest first."""
    with operator_of(url, token) as operator:

        def read() -> tuple[Picture, list[str]]:
            keys = [project] if project else [each.key for each in operator.projects()]
            return rounds_picture([(key, each) for key in keys for each in islice(operator.rounds(key), limit)]), keys

        _show(operator, read, as_json=as_json, watching=watching)


@click.command()
@click.argument("project", required=False)
@_looking_options
def status(project: str | None, url: str | None, token: str | None, *, as_json: bool, watching: bool) -> None:
    """Say in sentences where a project stands, or all of them, and what it waits for."""
    with operator_of(url, token) as operator:

        def read() -> tuple[Picture, list[str]]:
            found = [operator.project(project)] if project else list(operator.projects())
            with_members = [(each, list(operator.participants(each.key))) for each in found]
            return status_picture(with_members), [each.key for each in found]

        _show(operator, read, as_json=as_json, watching=watching)


def _show(operator: Operator, read: Read, *, as_json: bool, watching: bool) -> None:
    if watching:
        watch(operator, read, as_json=as_json)
        return
    picture, _ = read()
    picture.show(as_json=as_json)


def operator_of(url: str | None, token: str | None) -> Operator:
    """An operator at the server that the options, the environment or the settings name."""
    return Operator(*server_of(url, token, settings()))


def server_of(url: str | None, token: str | None, options: Settings) -> tuple[str, str]:
    """Address and operator token: those given, or those of this machine's server. Raises Invalid without a token."""
    host = f"[{options.host}]" if ":" in options.host else options.host
    return url or f"http://{host}:{options.port}", token or _token_file(options.data)


def _token_file(data: Path) -> str:
    path = data / "operator-token"
    try:
        return path.read_text().strip()
    except OSError as exc:
        raise Invalid(
            f"there is no operator token in {path}; give --token, or start the server there once by foedus serve"
        ) from exc
