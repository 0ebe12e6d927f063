"""The command tree. Each command's module is imported when it is used."""

import os
from importlib import import_module
from typing import Any

import click

from foedus.core.errors import PlatformError
from foedus.core.threads import ONE_THREAD

_COMMANDS = {
    "change": "foedus.cli.change:change",
    "clock": "foedus.cli.service:clock",
    "customers": "foedus.cli.customers:customers",
    "demo": "foedus.cli.demo:demo",
    "flaas-device": "foedus.cli.flaas_device:flaas_device",
    "learn": "foedus.cli.learn:learn",
    "manage": "foedus.cli.manage:manage",
    "market": "foedus.cli.market:market",
    "objects": "foedus.cli.objects:objects",
    "projects": "foedus.cli.projects:projects",
    "rounds": "foedus.cli.projects:rounds",
    "serve": "foedus.cli.service:serve",
    "simulate": "foedus.cli.simulate:simulate",
    "status": "foedus.cli.projects:status",
    "web": "foedus.cli.service:web",
    "worker": "foedus.cli.service:worker",
}
_OF_THE_SERVER = frozenset({"clock", "serve", "web", "worker"})


class LazyGroup(click.Group):
    """A group whose commands are imported one by one, so that each starts fast."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        return sorted(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002 - click's signature
        target = _COMMANDS.get(cmd_name)
        if target is None:
            return None
        if cmd_name in _OF_THE_SERVER:
            for variable, count in ONE_THREAD.items():
                os.environ.setdefault(variable, count)  # NumPy, which the next line may load, reads them once
        module, _, name = target.partition(":")
        command: click.Command = getattr(import_module(module), name)
        return command

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except PlatformError as exc:
            raise click.ClickException(_said(exc)) from exc


def _said(exc: PlatformError) -> str:
    """Without what only programs that ask again want to know."""
    kept = {name: value for name, value in exc.context.items() if name not in ("status", "retry_after_s")}
    return str(type(exc)(exc.message, **kept)) if kept else exc.message


@click.command(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="foedus")
def main() -> None:
    """Federated learning: raw data stays where it is; updates and statistics travel."""
