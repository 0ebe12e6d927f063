"""``foedus simulate``: whole fleets on one machine."""

import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from foedus.cli.simulate_app import app, prepare_environment
from foedus.core.fleet.modes import DatasetType, TrainingMode

if TYPE_CHECKING:
    from foedus.simulation.flaas.backstage import Backstage


class AppGroup(click.Group):
    """A group whose first word, where it is no command, is an app for the command ``app``."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if args and args[0] not in self.commands and not args[0].startswith("-"):
            args = ["app", *args]
        return super().parse_args(ctx, args)


@click.group(
    cls=AppGroup,
    subcommand_metavar="APP [OPTIONS] | COMMAND [ARGS]...",
    epilog="What can be said of an app's run: foedus simulate app --help",
)
def simulate() -> None:
    """Run an app of your own with many participants: `foedus simulate APP`, short for `foedus simulate app APP`."""


simulate.add_command(app)


@simulate.command()
@click.option("--devices", type=click.IntRange(1, 10_000), default=100, show_default=True, help="Phones.")
@click.option("--rounds", type=click.IntRange(1, 1000), default=20, show_default=True, help="Complete rounds to train.")
@click.option("--model", default="CIFAR10_S", show_default=True, help="What the phones train.")
@click.option(
    "--split",
    type=click.Choice([each.value for each in DatasetType]),
    default="IID",
    show_default=True,
    help="How samples are spread.",
)
@click.option(
    "--mode",
    type=click.Choice([each.value for each in TrainingMode]),
    default="BASELINE",
    show_default=True,
    help="How the apps of a phone work together.",
)
@click.option("--samples", type=click.IntRange(1), default=150, show_default=True, help="Samples of each app.")
@click.option("--epochs", type=click.IntRange(1), default=20, show_default=True, help="Epochs in each round.")
@click.option("--images", type=click.Path(exists=True, path_type=Path), help="Images to deal out. [default: digits]")
@click.option(
    "--minutes", type=click.IntRange(1), default=60, show_default=True, help="The longest that a round takes."
)
@click.option("--unplugged", type=click.IntRange(0), default=0, help="So many phones are not on a charger.")
@click.option("--repeating", type=click.IntRange(0), default=0, help="So many send their training reports twice.")
@click.option("--vanishing", type=click.IntRange(0), default=0, help="So many fall silent in the second round.")
@click.option("--seed", type=click.IntRange(0), default=7, show_default=True, help="Same seed, same study.")
@click.option(
    "--output",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path("foedus-flaas"),
    show_default=True,
    help="Gets the report, the model and the logs.",
)
@click.option("--keep", is_flag=True, help="Keep the server's data folder, too.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON lines.")
def flaas(
    *, split: str, mode: str, unplugged: int, repeating: int, vanishing: int, output: Path, as_json: bool, **plain: Any
) -> None:
    """Run a FLaaS project from its start to its end: a real server, and phones that train for real."""
    prepare_environment()
    from foedus.simulation.flaas.options import StudyOptions
    from foedus.simulation.flaas.study import faults_of, run_study, threads_here
    from foedus.simulation.table import RoundTable

    options = StudyOptions(
        split=DatasetType(split),
        mode=TrainingMode(mode),
        faults=faults_of(plain["devices"], unplugged=unplugged, repeating=repeating, vanishing=vanishing),
        output=output.absolute(),
        workers=threads_here(),
        **plain,
    )

    def say(text: str) -> None:
        click.echo(json.dumps({"event": "study.waiting", "text": text}) if as_json else text)

    try:
        with (
            _logging_to(output / "phones.log"),
            RoundTable(rounds=options.rounds, form="json" if as_json else None) as table,
        ):
            report = run_study(options, connect, table, say)
    except KeyboardInterrupt:
        click.echo("stopped; nothing is left running", err=True)
        sys.exit(130)
    if as_json:
        click.echo(json.dumps({"event": "study.finished", **asdict(report)}))
        return
    click.echo("\n".join(["", *report.lines(), "", f"report and model are in {output}"]))


@contextmanager
def connect(data: Path) -> "Iterator[Backstage]":
    """Work on the data folder of a running server, in this process."""
    os.environ["FOEDUS_DATA"] = str(data)
    os.environ["DJANGO_SETTINGS_MODULE"] = "foedus.server.settings"
    import django

    from foedus import bootstrap

    django.setup()
    from foedus.simulation.flaas.backstage import backstage

    with backstage(bootstrap.ports()) as found:
        yield found


@contextmanager
def _logging_to(path: Path) -> Iterator[None]:
    """What phones complain of, a line each."""
    import structlog

    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as file:
        structlog.configure(
            processors=[
                structlog.processors.add_log_level,
                structlog.processors.TimeStamper(fmt="iso", utc=True),
                structlog.processors.format_exc_info,
                structlog.processors.JSONRenderer(),
            ],
            logger_factory=structlog.WriteLoggerFactory(file),
            cache_logger_on_first_use=False,
        )
        try:
            yield
        finally:
            structlog.reset_defaults()
