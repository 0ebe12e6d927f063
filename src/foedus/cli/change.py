"""``change``: what a project goes by, from the next round on that begins."""

import json
from collections.abc import Mapping
from typing import Any

import click

from foedus.cli.projects import operator_of, server_options
from foedus.core.errors import Invalid

_RULE = "NAME KEY=VALUE ..."
_OPTIONS = "KEY=VALUE ..., or none"


@click.command()
@click.argument("project")
@click.option("--policy", metavar=_RULE, help="Such as 'buffered buffer=4 concurrency=8'.")
@click.option("--strategy", metavar=_RULE, help="Such as 'fedadam lr=0.01'.")
@click.option("--evaluation", metavar=_OPTIONS, help="Such as 'name=digits every=5'.")
@click.option("--early-stopping", metavar=_OPTIONS, help="Such as 'metric=accuracy patience=3'.")
@click.option("--best", metavar=_OPTIONS, help="Such as 'metric=loss mode=min'.")
@click.option("--retention", metavar=_OPTIONS, help="Such as 'keep_last=5 keep_best=1'.")
@click.option("--state", type=click.Choice(["running", "paused"]), help="Let it go on, or stand still.")
@server_options
def change(project: str, url: str | None, token: str | None, **given: str | None) -> None:
    """Change what a project goes by. Values are JSON, or text.

    What is named is replaced as a whole: options that are left out, such as a policy's rounds, have their defaults.
    """
    fields: dict[str, Any] = {}
    for name, text in given.items():
        if text is not None:
            fields[name] = text if name == "state" else read_options(name, text, ruled=name in ("policy", "strategy"))
    if not fields:
        raise Invalid("say what to change: see foedus change --help")
    with operator_of(url, token) as operator:
        found = operator.update(project, **fields)
    click.echo(f"{found.key}: {found.state}, policy {as_typed(found.policy)}, strategy {as_typed(found.strategy)}")
    for reason in found.reasons:
        click.echo(f"  {reason.text}")


def as_typed(rule: Mapping[str, Any]) -> str:
    """As it is typed, with all options that were given: whatever is not named here is as by default."""
    return " ".join(
        [
            rule["name"],
            *(f"{name}={json.dumps(value, separators=(',', ':'))}" for name, value in rule["options"].items()),
        ]
    )


def read_options(name: str, text: str, *, ruled: bool) -> dict[str, Any]:
    """``KEY=VALUE ...``, or with ``ruled`` a rule: a name and its options. Raises Invalid."""
    words = text.split()
    if not ruled:
        return {} if words == ["none"] else _options(name, words)
    if not words or "=" in words[0]:
        raise Invalid(f"--{name} begins with a name, as in 'quorum minimum=2'")
    return {"name": words[0], "options": _options(name, words[1:])}


def _options(name: str, words: list[str]) -> dict[str, Any]:
    options: dict[str, Any] = {}
    for word in words:
        key, equals, value = word.partition("=")
        if not equals or not key:
            raise Invalid(f"--{name.replace('_', '-')}: {word!r} is not KEY=VALUE")
        try:
            options[key] = json.loads(value)
        except ValueError:
            options[key] = value
    return options
