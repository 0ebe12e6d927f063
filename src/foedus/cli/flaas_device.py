"""``foedus flaas-device``: one simulated phone for a server that runs somewhere."""

import tempfile
from contextlib import ExitStack
from pathlib import Path

import click


@click.command()
@click.option("--url", required=True, help="Address of the server.")
@click.option("--username", required=True)
@click.option("--password", required=True, envvar="FOEDUS_DEVICE_PASSWORD", help="[env: FOEDUS_DEVICE_PASSWORD]")
@click.option(
    "--outbox",
    type=click.Path(dir_okay=False, path_type=Path),
    help="The server's outbox of pushes. [default: outbox/push.jsonl in the data folder]",
)
@click.option("--replay", is_flag=True, help="Begin with what is in the outbox already.")
@click.option("--ping-seconds", type=click.FloatRange(0.1), default=900.0, show_default=True, help="Between reports.")
@click.option("--backoff-seconds", type=click.FloatRange(0.0), default=30.0, show_default=True, help="Before a retry.")
@click.option("--seed", type=click.IntRange(0), help="Trains the same way again. [default: another way every time]")
@click.option("--unplugged", is_flag=True, help="Not on a charger.")
@click.option("--battery", type=click.FloatRange(0, 1), help="Its level. [default: some level]")
@click.option("--vanish-in-round", type=click.IntRange(0), help="Fall silent in this round, counted from 0.")
@click.option("--repeat-reports", type=click.IntRange(0), default=0, help="Send each training report so often again.")
@click.option("--clock-ahead", type=float, default=0.0, help="Seconds by which its clock is wrong.")
def flaas_device(
    *, url: str, username: str, password: str, outbox: Path | None, ping_seconds: float, backoff_seconds: float,
    seed: int | None, battery: float | None, vanish_in_round: int | None, repeat_reports: int, clock_ahead: float,
    replay: bool, unplugged: bool,
) -> None:  # fmt: skip
    """Be a phone: log in, report, and train whenever the server asks for it, until interrupted."""
    from foedus import bootstrap
    from foedus.sdk import Stop
    from foedus.server.start import configure_logging
    from foedus.simulation.flaas.device import Account, Faults
    from foedus.simulation.flaas.fleet import Fleet, FleetOptions
    from foedus.simulation.flaas.outbox import Outbox
    from foedus.simulation.flaas.schedule import Pace

    configure_logging(bootstrap.settings().log_level, bootstrap.settings().log_format)
    faults = Faults(
        unplugged=unplugged, level=battery, vanishes_in=vanish_in_round, repeats=repeat_reports,
        clock_ahead_s=clock_ahead,
    )  # fmt: skip
    options = FleetOptions(
        seed=seed, workers=2, pace=Pace(ping_s=ping_seconds, backoff_s=backoff_seconds), faults={username: faults}
    )
    stop = Stop.on_signals()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        account = Account(username=username, password=password)
        fleet = stack.enter_context(Fleet(url, [account], folder, options))
        path = outbox or bootstrap.settings().data / "outbox" / "push.jsonl"
        stack.enter_context(Outbox(path, fleet.deliver, replay=replay))
        fleet.log_in()
        click.echo(f"{username} is logged in and waits for pushes in {path}")
        stop.wait()
        fleet.check()
