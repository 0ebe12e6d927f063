"""Commands of sellers and buyers: offers, orders, and where the money is."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from foedus.cli.market.options import as_anybody, as_party, connected, one_line, record, run_named
from foedus.cli.market.running import show_run
from foedus.core.errors import Conflict, Invalid, Unavailable

if TYPE_CHECKING:
    from foedus.sdk.market import Agreement, Container

KINDS = ("compute", "fl-coordinator", "access")


@click.command()
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
def key(file: Path) -> None:
    """Make a key in a new FILE and print its address, by which the market knows you."""
    from foedus.sdk.market import new_key

    click.echo(new_key(file).address)


@click.command()
@click.argument("name")
@click.option("--price", type=click.IntRange(min=0), default=0, show_default=True, help="In the token's smallest unit.")
@click.option("--share", "shares", multiple=True, metavar="ADDRESS=AMOUNT", help="Further receivers beside you.")
@click.option("--kind", type=click.Choice(KINDS), default="compute", show_default=True,
              help="Computing next to data, leading sessions, or downloading the data.")  # fmt: skip
@click.option("--description", default="", help="What buyers should know.")
@click.option("--container", "containers", multiple=True, metavar="IMAGE[:TAG]@DIGEST", help="What may be run.")
@click.option("--file", "files", multiple=True, metavar="URL", help="Where a file of the data lies, https:, http: or "
              "file:; only the market's node learns it. Names of files to be downloaded are published.")  # fmt: skip
@click.option("--timeout", type=click.IntRange(min=1), default=86_400, show_default=True, metavar="SECONDS",
              help="Until when what was bought has to be done; then the price goes back.")  # fmt: skip
@click.option(
    "--seconds", type=click.IntRange(min=1), default=3_600, show_default=True, help="How long a run may take."
)
@click.option("--executions", type=click.IntRange(min=1), default=1, show_default=True, help="Runs for one price.")
@click.option("--cpu", default="", help="Processors that a run gets, such as 2.")
@click.option("--memory", default="", help="Memory that a run gets, such as 4gb.")
@click.option("--disk", default="", help="Disk that a run gets, such as 1gb.")
@click.option(
    "--public-host", default="", metavar="HOST", help="Where sessions are reached. [default: as the node says]"
)
@click.option("--ports", metavar="FIRST-LAST", help="At which ports sessions are reached. [default: any]")
@click.option("--token", default="", help="Address of the token to be paid in. [default: the market's own]")
@as_party
def offer(
    name: str, *, price: int, shares: tuple[str, ...], kind: str, description: str, containers: tuple[str, ...],
    files: tuple[str, ...], timeout: int, seconds: int, executions: int, cpu: str, memory: str, disk: str,
    public_host: str, ports: str | None, token: str, key_file: Path, url: str | None, as_json: bool,
) -> None:  # fmt: skip
    """Offer computation, or files, under NAME, and print the offer's DID."""
    from foedus.sdk.market import NewOffer

    with connected(url, key_file) as market:
        wanted = NewOffer(
            name=name, kind=kind, description=description, timeout_s=timeout, token=token, executions=executions,
            shares=[(market.address, price), *map(_share, shares)], containers=[container(each) for each in containers],
            cpu=cpu, memory=memory, disk=disk, max_seconds=seconds, public_host=public_host, ports=_ports(ports),
        )  # fmt: skip
        did = market.offer(wanted, files=files)
    record({"did": did}) if as_json else click.echo(did)


@click.command()
@click.argument("words", nargs=-1)
@click.option("--kind", type=click.Choice(KINDS), default=None, help="Offers of this kind alone.")
@click.option("--max-price", type=click.IntRange(min=0), default=None, help="Offers that cost no more.")
@as_anybody
def search(words: tuple[str, ...], kind: str | None, max_price: int | None, url: str | None, *, as_json: bool) -> None:
    """List offers in whose documents all WORDS are found: DID, kind, price, name, tab-separated."""
    with connected(url) as market:
        found = market.search(*words, kind=kind or "")
    for each in found:
        if max_price is not None and each.price > max_price:
            continue
        if as_json:
            record(each)
        else:
            click.echo(f"{each.did}\t{each.kind}\t{each.price}\t{one_line(each.name)}")


@click.command()
@click.argument("did")
@click.option("--index", default="", help="Which of its services, where it offers several.")
@click.option("--seed", metavar="HEX", help="64 digits that make the order one; the same again is the same order.")
@as_party
def order(did: str, index: str, seed: str | None, key_file: Path, url: str | None, *, as_json: bool) -> None:
    """Order the offer DID and pay its price into escrow."""
    with connected(url, key_file) as market:
        try:
            show(market.order(did, index=index, seed=seed), as_json=as_json)
        except Unavailable as exc:
            words = f"{exc.message}; order again with --seed {exc.context['seed']}, which cannot pay twice"
            raise Unavailable(words) from exc
        except Conflict as exc:
            raise Conflict(f"{exc.message}; to go on with this order, give --seed {exc.context['seed']}") from exc


@click.command()
@click.argument("what", metavar="[AGREEMENT|RUN]", required=False)
@as_party
def status(what: str | None, key_file: Path, url: str | None, *, as_json: bool) -> None:
    """Show an agreement, a run, or all your agreements: how each stands, since when, and what it waits for."""
    with connected(url, key_file) as market:
        if what and "/" in what:
            show_run(market.look(run_named(what)), as_json=as_json)
            return
        for found in [market.agreement(what)] if what else market.agreements():
            show(found, as_json=as_json)


def _step(name: str, method: str, about: str) -> click.Command:
    @click.command(name, help=about)
    @click.argument("agreement")
    @as_party
    def command(agreement: str, key_file: Path, url: str | None, *, as_json: bool) -> None:
        with connected(url, key_file) as market:
            show(getattr(market, method)(agreement), as_json=as_json)

    return command


@click.command()
@as_party
def statement(key_file: Path, url: str | None, *, as_json: bool) -> None:
    """Show what you have, and what came in and went out: time, why, amount, agreement, tab-separated."""
    with connected(url, key_file) as market:
        found = market.statement()
    if as_json:
        record(found)
        return
    for token, amount in found.balances.items():
        click.echo(f"{amount} of {token}")
    for entry in found.entries:
        click.echo(f"{entry.at:%Y-%m-%dT%H:%M:%SZ}\t{entry.kind}\t{entry.amount}\t{entry.agreement_id or '-'}")


@click.command()
@click.argument("did")
@click.option("--provider", "providers", multiple=True, metavar="ADDRESS", help="Who provides it. [default: the node]")
@as_party
def register(did: str, providers: tuple[str, ...], key_file: Path, url: str | None, *, as_json: bool) -> None:
    """Make your own asset DID known to the ledger, so that it can be ordered with a wallet or from another server."""
    with connected(url, key_file) as market:
        found = market.register(did, providers)
    record({"did": did, "providers": found}) if as_json else click.echo(f"{did} is provided by {', '.join(found)}")


@click.command()
@click.argument("did")
@as_party
def retire(did: str, key_file: Path, url: str | None, *, as_json: bool) -> None:
    """Take your own asset DID out of the catalogue. What was bought of it stays bought."""
    with connected(url, key_file) as market:
        market.retire(did)
    record({"did": did, "retired": True}) if as_json else click.echo(f"{did} is retired")


def show(found: "Agreement", *, as_json: bool) -> None:
    if as_json:
        record(found)
        return
    click.echo(f"{found.id}  {found.outcome}")
    click.echo(f"  {found.did}: {' + '.join(found.amounts) or '0'}")
    for each in found.conditions:
        until = f", until {each.until:%Y-%m-%dT%H:%M:%SZ}" if each.until else ""
        click.echo(f"  {each.name:<14} {each.state:<12} since {each.since:%Y-%m-%dT%H:%M:%SZ}{until}")
    if found.waits_for:
        click.echo(f"  waits {found.waits_for}")


def container(stated: str) -> "Container":
    from foedus.sdk.market import Container

    name, _, digest = stated.partition("@")
    image, colon, tag = name.rpartition(":")
    if not digest.startswith("sha256:"):
        raise Invalid(f"a container is named with its digest, as IMAGE:TAG@sha256:..., not {stated[:80]!r}")
    return Container(image, tag, digest) if colon and "/" not in tag else Container(name, "", digest)


def _share(stated: str) -> tuple[str, int]:
    address, _, amount = stated.partition("=")
    if not (amount.isascii() and amount.isdigit()):
        raise Invalid(f"a share is ADDRESS=AMOUNT, not {stated[:80]!r}")
    return address, int(amount)


def _ports(stated: str | None) -> tuple[int, int] | None:
    if stated is None:
        return None
    first, dash, last = stated.partition("-")
    if not all(each.isascii() and each.isdigit() for each in (first, last if dash else first)):
        raise Invalid(f"ports are FIRST-LAST, such as 9000-9010, not {stated[:80]!r}")
    return int(first), int(last if dash else first)


COMMANDS = (
    key, offer, search, order, status, statement, register, retire,
    _step("pay", "pay", "Pay for AGREEMENT, ordered when there was too little money."),
    _step("accept", "accept", "Be content with what was done under AGREEMENT: the money is released."),
    _step("refund", "refund", "Take the money of AGREEMENT back, once its window has passed."),
    _step("give-up", "give_up", "As its provider, give AGREEMENT up: the money goes back at once."),
)  # fmt: skip
