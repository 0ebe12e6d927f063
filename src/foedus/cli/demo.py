"""``foedus demo``: the main job, offline, on this machine."""

import json
import os
import signal
import sys
from dataclasses import asdict
from pathlib import Path
from types import FrameType

import click


@click.command()
@click.option("--participants", type=click.IntRange(1, 64), default=8, show_default=True, help="Processes that train.")
@click.option("--rounds", type=click.IntRange(1, 1000), default=10, show_default=True, help="Rounds to train.")
@click.option("--seed", type=click.IntRange(0), default=7, show_default=True, help="Draws the shards and the weights.")
@click.option(
    "--output",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path("foedus-demo"),
    show_default=True,
    help="Gets the model, the report and the logs.",
)
@click.option("--keep", is_flag=True, help="Keep the server's data folder, too.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON lines.")
def demo(participants: int, rounds: int, seed: int, output: Path, *, keep: bool, as_json: bool) -> None:
    """Train one model over a real server by participants with private, unlike shards of handwritten digits."""
    if not as_json:  # before anything that takes time
        click.echo(f"{participants} participants with shards of 4,000 handwritten digits, {rounds} rounds")
        click.echo("starting the server ...")
    from foedus.core.threads import ONE_THREAD

    os.environ.update(ONE_THREAD)
    from foedus.simulation.demo import DemoOptions, run_demo
    from foedus.simulation.table import RoundTable

    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _interrupt)
    options = DemoOptions(participants=participants, rounds=rounds, seed=seed, output=output, keep=keep)
    try:
        with RoundTable(rounds=rounds, form="json" if as_json else None) as table:
            outcome = run_demo(options, table)
    except KeyboardInterrupt:
        click.echo("stopped; nothing is left running", err=True)
        sys.exit(130)
    if as_json:
        click.echo(json.dumps({**asdict(outcome), "model": str(outcome.model), "report": str(outcome.report)}))
        return
    click.echo("")
    click.echo(f"each participant alone   {outcome.alone:6.1%}   (mean)")
    click.echo(f"federated                {outcome.federated:6.1%}")
    click.echo(f"all data pooled          {outcome.pooled:6.1%}")
    click.echo("")
    click.echo(f"model   {outcome.model}")
    click.echo(f"report  {outcome.report}")
    click.echo(f"done in {outcome.seconds:.1f} s; everything that was started is stopped")


def _interrupt(number: int, frame: FrameType | None) -> None:  # noqa: ARG001 - a signal handler's signature
    raise KeyboardInterrupt
