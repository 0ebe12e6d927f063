"""``market``: offer, find and buy the right to compute next to data, and see where the money is."""

import os
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import httpx

from foedus import bootstrap
from foedus.connectors.addresses import driver_of
from foedus.core.errors import Invalid, Unavailable

if TYPE_CHECKING:
    from foedus.cli.market_client import MarketClient

_KEY = click.option(
    "--key", "key_file", type=click.Path(dir_okay=False, path_type=Path), envvar="FOEDUS_MARKET_KEY", required=True,
    help="File with your key. [default: FOEDUS_MARKET_KEY]",
)  # fmt: skip
_URL = click.option(
    "--url",
    envvar="FOEDUS_URL",
    help="Address of the market. [default: FOEDUS_URL, or http://HOST:PORT of the settings]",
)
_DATA = click.option("--data", type=click.Path(file_okay=False, path_type=Path), help="Data folder of the server.")


@click.group()
def market() -> None:
    """Offer, find and buy the right to compute next to data."""
    with driver_of("market"):
        import eth_keys  # noqa: F401 - so that every command says which packages it wants


@market.command()
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
def key(file: Path) -> None:
    """Make a key in a new FILE and print its address, by which the market knows you."""
    from foedus.cli.market_client import new_key

    click.echo(new_key(file).address)


@market.command()
@click.argument("name")
@click.option("--price", type=click.IntRange(min=0), default=0, show_default=True, help="In the token's smallest unit.")
@click.option("--share", "shares", multiple=True, metavar="ADDRESS=AMOUNT", help="Further receivers beside you.")
@click.option("--kind", type=click.Choice(["compute", "fl-coordinator"]), default="compute", show_default=True)
@click.option("--container", "containers", multiple=True, metavar="IMAGE[:TAG]@DIGEST", help="What may be run.")
@click.option("--file", "files", multiple=True, metavar="URL", help="Where a file of the data lies, https:, http: or "
              "file:; only the market's node learns it.")  # fmt: skip
@click.option("--timeout", type=click.IntRange(min=1), default=86_400, show_default=True, metavar="SECONDS",
              help="Until when what was bought has to be done; then the price goes back.")  # fmt: skip
@click.option("--token", default="", help="Address of the token to be paid in. [default: the market's own]")
@_KEY
@_URL
def offer(
    name: str, *, price: int, shares: tuple[str, ...], kind: str, containers: tuple[str, ...], files: tuple[str, ...],
    timeout: int, token: str, key_file: Path, url: str | None,
) -> None:  # fmt: skip
    """Offer computation under NAME, and print the offer's DID."""
    from foedus.cli.market_client import read_key
    from foedus.wallet.offering import NewOffer, write_offer

    owner, node = read_key(key_file), _url(url)
    wanted = NewOffer(
        name=name, kind=kind, node=node, timeout_s=timeout, token=token,
        shares=[(owner.address, price), *map(_share, shares)], containers=[_container(each) for each in containers],
    )  # fmt: skip
    with _client(node, key_file) as client:
        if files:
            wanted = replace(wanted, sealed_files=client.seal(files))
        document = write_offer(wanted, owner, now=datetime.now(UTC))
        click.echo(client.publish(document))


@market.command()
@click.argument("words", nargs=-1)
@_URL
def search(words: tuple[str, ...], url: str | None) -> None:
    """List offers in whose documents all WORDS are found: DID, kind, price, name, tab-separated."""
    from foedus.core.market.documents import Document
    from foedus.core.market.offers import COMPUTE_TYPES, read_offer

    wanted: list[dict[str, Any]] = [{"terms": {"service.type": list(COMPUTE_TYPES)}}]
    if words:
        wanted.append({"query_string": {"query": " ".join(words), "default_operator": "and"}})
    with _client(_url(url)) as client:
        found = client.post("/metadata/assets/ddo/query", {"query": {"bool": {"must": wanted}}})
    import json

    for each in found["results"]:
        document = Document.read(json.dumps(each).encode())
        service = document.find_service(*COMPUTE_TYPES)
        if service is not None:
            price = read_offer(service).price.total
            click.echo(f"{document.did}\t{service.type}\t{price}\t{document.metadata.main.get('name', '')}")


@market.command()
@click.argument("did")
@click.option("--index", default="", help="Which of its services, where it offers several.")
@click.option("--seed", metavar="HEX", help="64 digits that make the order one; the same again is the same order.")
@_KEY
@_URL
def order(did: str, index: str, seed: str | None, key_file: Path, url: str | None) -> None:
    """Order the offer DID and pay its price into escrow."""
    from foedus.cli.market_client import MarketRefuses

    seed = seed or os.urandom(32).hex()
    with _client(_url(url), key_file) as client:
        try:
            _show(client.post("/market/agreements", {"did": did, "index": index, "seed": seed}))
        except httpx.TransportError as exc:
            raise Unavailable(f"no answer came; order again with --seed {seed}, which cannot pay twice") from exc
        except MarketRefuses as exc:
            raise MarketRefuses(f"{exc}; to go on with this order, give --seed {seed}") from exc


@market.command()
@click.argument("agreement", required=False)
@_KEY
@_URL
def status(agreement: str | None, key_file: Path, url: str | None) -> None:
    """Show an agreement, or all of yours: its conditions, since when, until when, and what it waits for."""
    with _client(_url(url), key_file) as client:
        if agreement:
            _show(client.get(f"/market/agreements/{agreement}"))
            return
        for found in client.get("/market/agreements"):
            _show(found)


def _step(name: str, path: str, about: str) -> None:
    @market.command(name, help=about)
    @click.argument("agreement")
    @_KEY
    @_URL
    def command(agreement: str, key_file: Path, url: str | None) -> None:
        with _client(_url(url), key_file) as client:
            _show(client.post(f"/market/agreements/{agreement}/{path}"))


_step("pay", "pay", "Pay for AGREEMENT, ordered when there was too little money.")
_step("accept", "accept", "Be content with what was done under AGREEMENT: the money is released.")
_step("refund", "refund", "Take the money of AGREEMENT back, once its window has passed.")
_step("give-up", "give-up", "As its provider, give AGREEMENT up: the money goes back at once.")


@market.command()
@_KEY
@_URL
def statement(key_file: Path, url: str | None) -> None:
    """Show what you have, and what came in and went out: time, why, amount, agreement, tab-separated."""
    with _client(_url(url), key_file) as client:
        found = client.get("/market/statement")
    for token, amount in found["balances"].items():
        click.echo(f"{amount} of {token}")
    for entry in found["entries"]:
        click.echo(f"{entry['at']}\t{entry['kind']}\t{entry['amount']}\t{entry['agreementId'] or '-'}")


@market.command()
@click.argument("address")
@click.argument("amount", type=click.IntRange(min=1))
@click.option("--reference", required=True, help="Why, in up to 100 characters; the same again makes no more.")
@click.option("--token", default="", help="Address of the token. [default: the market's own]")
@_DATA
def mint(address: str, amount: int, reference: str, token: str, data: Path | None) -> None:
    """Make money for ADDRESS, on the machine of the server; print what it has then."""
    _use(data)
    _check_served()
    from foedus.server import start

    start.prepare()
    from foedus.services.market import money
    from foedus.services.shell.authorisation import SYSTEM

    now = datetime.now(UTC)
    click.echo(money.mint(bootstrap.ports(), SYSTEM, address, amount, token=token, reference=reference, now=now))


@market.command()
@click.argument("address")
@_DATA
def trust(address: str, data: Path | None) -> None:
    """Make ADDRESS an administrator of the market, who may offer files of this machine; on the server's machine."""
    _use(data)
    _check_served()
    from foedus.server import start

    start.prepare()
    from foedus.services.market.parties import make_administrator

    click.echo(make_administrator(address, now=datetime.now(UTC)))


@market.command()
@click.argument("node")
@_DATA
def deploy(node: str, data: Path | None) -> None:
    """Put the contracts on the chain of NODE (http://...), signed with the server's own key; print FOEDUS_LEDGER."""
    _use(data)
    from foedus.connectors.ledger.evm.ledger import deploy_at
    from foedus.services.market.node import node_key

    click.echo(deploy_at(node, node_key(bootstrap.secrets())))


def _show(found: dict[str, Any]) -> None:
    click.echo(f"{found['agreementId']}  {found['outcome']}")
    click.echo(f"  {found['did']}: {' + '.join(found['amounts']) or '0'}")
    for each in found["conditions"]:
        until = f", until {each['until']}" if each["until"] else ""
        click.echo(f"  {each['name']:<14} {each['state']:<12} since {each['since']}{until}")
    if found["waitsFor"]:
        click.echo(f"  waits {found['waitsFor']}")


def _client(url: str, key_file: Path | None = None) -> "MarketClient":
    from foedus.cli.market_client import MarketClient, read_key

    try:
        return MarketClient(url, read_key(key_file) if key_file else None)
    except httpx.TransportError as exc:
        raise Unavailable(f"the market at {url} does not answer") from exc


def _url(url: str | None) -> str:
    options = bootstrap.settings()
    host = f"[{options.host}]" if ":" in options.host else options.host
    return (url or f"http://{host}:{options.port}").rstrip("/")


def _check_served() -> None:
    """Raise Invalid where no server ever ran: money that is made there is seen by nobody."""
    options = bootstrap.settings()
    if not options.database_url and not (options.data / "foedus.sqlite3").exists():
        raise Invalid(f"no server has its data in {options.data}; name its folder by --data or FOEDUS_DATA")


def _use(data: Path | None) -> None:
    if data is not None:
        os.environ["FOEDUS_DATA"] = str(data)


def _share(stated: str) -> tuple[str, int]:
    address, _, amount = stated.partition("=")
    if not (amount.isascii() and amount.isdigit()):
        raise Invalid(f"a share is ADDRESS=AMOUNT, not {stated[:80]!r}")
    return address, int(amount)


def _container(stated: str) -> tuple[str, str, str]:
    name, _, digest = stated.partition("@")
    image, colon, tag = name.rpartition(":")
    if not digest.startswith("sha256:"):
        raise Invalid(f"a container is named with its digest, as IMAGE:TAG@sha256:..., not {stated[:80]!r}")
    return (image, tag, digest) if colon and "/" not in tag else (name, "", digest)
