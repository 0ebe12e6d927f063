"""Commands for whoever runs a server of the market, on its machine."""

import json
import os
from datetime import UTC, datetime
from pathlib import Path

import click

from foedus import bootstrap
from foedus.cli.market.options import on_its_machine, use
from foedus.core.errors import Conflict


@click.command()
@click.argument("address")
@click.argument("amount", type=click.IntRange(min=1))
@click.option("--reference", required=True, help="Why, in up to 100 characters; the same again makes no more.")
@click.option("--token", default="", help="Address of the token. [default: the market's own]")
@on_its_machine
def mint(address: str, amount: int, reference: str, token: str, data: Path | None) -> None:
    """Make money for ADDRESS, on the machine of the server; print what it has then."""
    use(data)
    from foedus.server import start

    start.prepare()
    from foedus.services.market import money
    from foedus.services.shell.authorisation import SYSTEM

    now = datetime.now(UTC)
    click.echo(money.mint(bootstrap.ports(), SYSTEM, address, amount, token=token, reference=reference, now=now))


@click.command()
@click.argument("address")
@click.option(
    "--everything", is_flag=True, help="Make it an administrator, who sees and does everything in this market."
)
@click.option("--no", "revokes", is_flag=True, help="Take back whatever it was trusted with.")
@on_its_machine
def trust(address: str, data: Path | None, *, everything: bool, revokes: bool) -> None:
    """Let ADDRESS offer files of this machine, from the one folder that is opened; on the server's machine."""
    if everything and revokes:
        raise click.UsageError("give one of --everything and --no")
    use(data)
    from foedus.server import start

    start.prepare()
    from foedus.services.market import parties

    now = datetime.now(UTC)
    click.echo(
        parties.distrust(address, now=now) if revokes else parties.trust(address, everything=everything, now=now)
    )


@click.command()
@click.argument("node")
@click.option("--save", is_flag=True, help="Write it into foedus.toml in the data folder, too.")
@on_its_machine
def deploy(node: str, data: Path | None, *, save: bool) -> None:
    """Put the contracts on the chain of NODE (http://...), signed with the server's own key; print FOEDUS_LEDGER.

    The key is the secret market-node-key, made where there is none; its address needs some of the chain's coin for gas.
    """
    if data is not None:
        os.environ["FOEDUS_DATA"] = str(data)  # whose key signs; no server need have run there yet
    from foedus.connectors.ledger.evm.deploying import deploy_at
    from foedus.services.market.node import node_key

    if save and bootstrap.settings().ledger:
        raise Conflict(
            "a ledger is set already; where it is to be another, change FOEDUS_LEDGER or foedus.toml by hand"
        )
    ledger = deploy_at(node, node_key(bootstrap.secrets()))
    click.echo(ledger)
    if save:
        _save_first(bootstrap.settings().data / "foedus.toml", f"ledger = {json.dumps(ledger)}\n")


def _save_first(path: Path, line: str) -> None:
    """Write a line before all others, where no [table] can claim it. The file keeps its rights, and whose it is."""
    path.touch()
    with path.open("r+", encoding="utf-8", newline="") as file:
        before = file.read()
        file.seek(0)
        file.write(line + before)


COMMANDS = (mint, trust, deploy)
