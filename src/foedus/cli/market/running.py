"""Commands of data scientists: what they bring, its runs, and what these leave."""

from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import click

from foedus.cli.market.options import as_party, connected, one_line, record, run_named
from foedus.core.errors import Conflict, Invalid

if TYPE_CHECKING:
    from foedus.sdk.market import Run

_MAX_SCRIPT_BYTES = 256 << 10


@click.group()
def publish() -> None:
    """Publish what you bring: a program, a workflow that runs it, a session, or any document."""


@publish.command()
@click.argument("name")
@click.argument("script", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--file", "files", multiple=True, metavar="URL", help="Where a further file of it lies: https: or http:.")
@as_party
def program(
    name: str, script: Path, files: tuple[str, ...], key_file: Path, url: str | None, *, as_json: bool
) -> None:  # fmt: skip
    """Publish the program NAME, which runs SCRIPT: the text of a shell script, or, where it ends in .py, of Python."""
    from foedus.sdk.market import program as plan

    with connected(url, key_file) as market:
        _published(market.publish_asset(plan(name, _entrypoint(script)), files=files), as_json=as_json)


@publish.command()
@click.argument("name")
@click.option("--program", required=True, metavar="DID", help="What is to run.")
@click.option("--data", "inputs", multiple=True, metavar="DID", help="What it reads: that which was bought.")
@click.option("--participant", is_flag=True, help="It takes part in a session, which alone gets what it found.")
@as_party
def workflow(
    name: str, program: str, inputs: tuple[str, ...], key_file: Path, url: str | None, *, participant: bool,
    as_json: bool,
) -> None:  # fmt: skip
    """Publish the workflow NAME: a program that runs on data."""
    from foedus.sdk.market import workflow as plan

    with connected(url, key_file) as market:
        wanted = plan(name, program, data=inputs, participant=participant)
        _published(market.publish_asset(wanted), as_json=as_json)


@publish.command()
@click.argument("name")
@click.option("--rounds", type=click.IntRange(min=1), required=True, help="All rounds; the first only initialises.")
@click.option("--participants", type=click.IntRange(min=1), required=True, help="How many must be there for a round.")
@click.option("--ratio", type=click.FloatRange(min=0, min_open=True, max=1), default=1.0, show_default=True,
              help="The share of those there that trains in a round.")  # fmt: skip
@click.option("--agreement", "agreements", multiple=True, help="Whose participants may take part. [default: those "
              "who are given a token]")  # fmt: skip
@as_party
def session(
    name: str, *, rounds: int, participants: int, ratio: float, agreements: tuple[str, ...], key_file: Path,
    url: str | None, as_json: bool,
) -> None:  # fmt: skip
    """Publish the session NAME, for a node that leads sessions to lead."""
    from foedus.sdk.market import session as plan

    with connected(url, key_file) as market:
        wanted = plan(
            name, rounds=rounds, min_participants=participants, ratio=ratio, agreements=agreements or None
        )  # fmt: skip
        _published(market.publish_asset(wanted), as_json=as_json)


@publish.command()
@click.argument("file", type=click.File("rb"))
@as_party
def document(file: BinaryIO, key_file: Path, url: str | None, *, as_json: bool) -> None:
    """Publish a complete DDO from FILE (- is standard input), byte for byte as it is signed."""
    from foedus.core.market.documents import MAX_BYTES, Document

    read = Document.read(file.read(MAX_BYTES + 1))
    with connected(url, key_file) as market:
        _published(market.publish(read), as_json=as_json)


@click.command()
@click.argument("agreement")
@click.argument("workflow")
@click.option("--join", "leads", metavar="RUN", help="Take part in the session that this run of yours leads.")
@click.option("--join-url", metavar="URL", help="Address of the node that leads it. [default: the same]")
@click.option("--wait", "waits", is_flag=True, help="Until it is over; fails if the run does.")
@as_party
def run(
    agreement: str, workflow: str, *, leads: str | None, join_url: str | None, waits: bool, key_file: Path,
    url: str | None, as_json: bool,
) -> None:  # fmt: skip
    """Run WORKFLOW (a DID) under AGREEMENT, and print the run, as status, log, stop and fetch take it."""
    if join_url and not leads:
        raise Invalid("--join-url is about the session of --join RUN")
    with connected(url, key_file) as market:
        seat = None
        if leads:
            with connected(join_url or market.url, key_file) as leader:
                (seat,) = leader.seats(run_named(leads), [agreement])
        begun = market.run(agreement, workflow, seat=seat)
        if not waits:
            show_run(begun, as_json=as_json)
            return
        over = market.wait(begun)
        show_run(over, as_json=as_json)
        if over.status != "Succeeded":
            raise Conflict(f"the run {over.status.lower()}: {over.reason or 'its log may say why'}")


@click.command()
@click.argument("run")
@as_party
def log(run: str, key_file: Path, url: str | None, *, as_json: bool) -> None:
    """Print what the program of RUN has written."""
    with connected(url, key_file) as market:
        for line in market.log(run_named(run)):
            record({"line": line}) if as_json else click.echo(one_line(line))


@click.command()
@click.argument("run")
@as_party
def stop(run: str, key_file: Path, url: str | None, *, as_json: bool) -> None:
    """End RUN. It has failed then, and costs nothing unless the offer is paid for the start."""
    with connected(url, key_file) as market:
        named = run_named(run)
        market.stop(named)
        show_run(market.look(named), as_json=as_json)


@click.command()
@click.argument("what", metavar="RUN|DID|AGREEMENT")
@click.argument("folder", type=click.Path(file_okay=False, path_type=Path))
@as_party
def fetch(what: str, folder: Path, key_file: Path, url: str | None, *, as_json: bool) -> None:
    """Download what a RUN has left, your asset DID, or what access was bought to, into FOLDER; print the files."""
    with connected(url, key_file) as market:
        agreement = "" if what.startswith("did:") or "/" in what else what
        if agreement:
            did = market.agreement(agreement).did
        else:
            did = what if what.startswith("did:") else market.look(run_named(what)).result
        for path in market.fetch(did, folder, agreement=agreement):
            record({"did": did, "path": str(path)}) if as_json else click.echo(path)


def show_run(found: "Run", *, as_json: bool) -> None:
    if as_json:
        record(found, run=str(found))
        return
    click.echo(f"{found}  {found.status}")
    if found.reason:
        click.echo(f"  {one_line(found.reason)}")
    for each in found.open_to:
        click.echo(f"  could reach {each}")
    if led := found.coordinator:
        at = f" at {led.url}" if led.url else ""
        click.echo(f"  session {led.state}{at}: round {led.round} of {led.rounds}, {led.connected} connected, "
                   f"{led.selected} selected, {led.required} required")  # fmt: skip
    if found.did:
        click.echo(f"  left {found.did}")


def _published(did: str, *, as_json: bool) -> None:
    record({"did": did}) if as_json else click.echo(did)


def _entrypoint(script: Path) -> str:
    """The text of a shell script that runs what is in the file. Raises Invalid."""
    if script.stat().st_size > _MAX_SCRIPT_BYTES:
        raise Invalid(f"{script} is larger than {_MAX_SCRIPT_BYTES >> 10} KiB; give the rest as --file")
    from foedus.sdk.market import python_script

    try:
        text = script.read_text("utf-8")
    except UnicodeDecodeError as exc:
        raise Invalid(f"{script} is no text") from exc
    return python_script(text) if script.suffix == ".py" else text


COMMANDS = (publish, run, log, stop, fetch)
