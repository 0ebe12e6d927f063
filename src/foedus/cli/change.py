"""``change``: what a project goes by, from the next round on that begins."""

from typing import Any

import click

from foedus.cli.projects import operator_of, server_options
from foedus.cli.typed import as_typed, read_options
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
