"""``market``: offer, find and buy computation next to data, run what was bought, and see where the money is."""

import click

from foedus.cli.market import operating, running, trading
from foedus.connectors.addresses import driver_of


@click.group()
def market() -> None:
    """Offer, find and buy the right to compute next to data, and run what was bought."""
    with driver_of("market"):
        import eth_keys  # noqa: F401 - so that every command says which packages it wants


for _command in (*operating.COMMANDS, *trading.COMMANDS, *running.COMMANDS):
    market.add_command(_command)
