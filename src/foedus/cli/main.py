"""The command tree. Each command's module is imported when it is used."""

import os
import platform
from importlib import import_module
from typing import Any

import click

from foedus.core.collecting import uncollected
from foedus.core.errors import PlatformError
from foedus.core.threads import ONE_THREAD

# Where each command is, and what it does: help is shown without importing what the commands need.
_COMMANDS = {
    "change": ("foedus.cli.change:change", "Change what a project goes by."),
    "clock": ("foedus.cli.service:clock", "Make deadlines and absences take effect."),
    "customers": (
        "foedus.cli.customers:customers",
        "Add and list SymetryML-style accounts, give them new keys, and shut them out.",
    ),
    "demo": (
        "foedus.cli.demo:demo",
        "Train one model over a real server by participants with private, unlike shards of handwritten digits.",
    ),
    "flaas-device": (
        "foedus.cli.flaas_device:flaas_device",
        "Be a phone: log in, report, and train whenever the server asks for it, until interrupted.",
    ),
    "learn": ("foedus.cli.learn:learn", "Learn SOURCE: Parquet, CSV and Arrow files, and all of them below folders."),
    "manage": ("foedus.cli.manage:manage", "Run a management command, such as createsuperuser."),
    "market": (
        "foedus.cli.market:market",
        "Offer, find and buy the right to compute next to data, and run what was bought.",
    ),
    "objects": (
        "foedus.cli.objects:objects",
        "Put, get and list start models, samples, results and the models of rounds.",
    ),
    "projects": ("foedus.cli.projects:projects", "List the projects, their state and what they wait for."),
    "rounds": ("foedus.cli.projects:rounds", "List the rounds of a project, or of all, newest first."),
    "serve": ("foedus.cli.service:serve", "Run everything: web, worker and clock as one supervised tree of processes."),
    "simulate": (
        "foedus.cli.simulate:simulate",
        "Run an app of your own with many participants: `foedus simulate APP`, short for `foedus simulate app APP`.",
    ),
    "status": (
        "foedus.cli.projects:status",
        "Say in sentences where a project stands, or all of them, and what it waits for.",
    ),
    "web": ("foedus.cli.service:web", "Answer HTTP."),
    "worker": ("foedus.cli.service:worker", "Do jobs, such as combining a round's updates."),
}
_OF_THE_SERVER = frozenset({"clock", "serve", "web", "worker"})


class LazyGroup(click.Group):
    """A group whose commands are imported one by one, so that each starts fast."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        return sorted(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002 - click's signature
        if cmd_name not in _COMMANDS:
            return None
        if cmd_name in _OF_THE_SERVER:
            for variable, count in ONE_THREAD.items():
                os.environ.setdefault(variable, count)  # NumPy, which the next line may load, reads them once
        module, _, name = _COMMANDS[cmd_name][0].partition(":")
        with uncollected():
            command: click.Command = getattr(import_module(module), name)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002 - click's signature
        with formatter.section("Commands"):
            formatter.write_dl([(name, said) for name, (_, said) in sorted(_COMMANDS.items())])

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except PlatformError as exc:
            raise click.ClickException(_said(exc)) from exc


def _said(exc: PlatformError) -> str:
    """Without what only programs that ask again want to know."""
    kept = {name: value for name, value in exc.context.items() if name not in ("status", "retry_after_s")}
    return str(type(exc)(exc.message, **kept)) if kept else exc.message


def _show_version(ctx: click.Context, _: click.Parameter, wanted: bool) -> None:
    """What a report of a fault should say; imported when it is asked for."""
    if not wanted or ctx.resilient_parsing:
        return
    from importlib.metadata import version

    from foedus.core.compiled.library import vectors

    loop = vectors()
    folded = f"the compiled loop ({loop})" if loop else "NumPy alone: there is no compiled loop for this installation"
    click.echo(f"foedus, version {version('foedus')}")
    click.echo(f"Python {platform.python_version()}, NumPy {version('numpy')}; means of float32 by {folded}")
    ctx.exit()


@click.command(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--version", is_flag=True, expose_value=False, is_eager=True, callback=_show_version,
    help="Show the version, and by what means are folded.",
)  # fmt: skip
def main() -> None:
    """Federated learning: raw data stays where it is; updates and statistics travel."""
