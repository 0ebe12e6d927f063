"""``objects``: the object store by its documented keys, on the machine (or with the settings) of the server."""

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from foedus.ports import Ports

_CHUNK_BYTES = 1 << 20


@click.group()
@click.option(
    "--data",
    type=click.Path(file_okay=False, path_type=Path),
    help="Data folder. [default: FOEDUS_DATA, or the platform's]",
)
def objects(data: Path | None) -> None:
    """Put, get and list start models, samples, results and the models of rounds."""
    if data is not None:
        os.environ["FOEDUS_DATA"] = str(data)


@objects.command()
@click.argument("key")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
def put(key: str, file: Path) -> None:
    """Store FILE as KEY, such as models/CIFAR10_B20.bin."""
    ports = _opened()
    from foedus.services.fleet.objects import put as store

    stored = store(ports, key, _chunks(file))
    click.echo(f"{stored.key}: {stored.size_bytes} bytes")


@objects.command()
@click.argument("key")
def get(key: str) -> None:
    """Write the object KEY to standard output."""
    ports = _opened()
    from foedus.services.fleet.objects import get as find

    for chunk in find(ports, key).read(ports):
        sys.stdout.buffer.write(chunk)


@objects.command("list")
@click.argument("prefix", default="")
def list_command(prefix: str) -> None:
    """List the objects whose keys begin with PREFIX: bytes, a tab, the key."""
    ports = _opened()
    from foedus.services.fleet.objects import list_objects

    for found in list_objects(ports, prefix):
        click.echo(f"{found.size_bytes}\t{found.key}")


def _opened() -> "Ports":
    from foedus import bootstrap
    from foedus.server import start

    start.prepare()
    return bootstrap.ports()


def _chunks(file: Path) -> Iterator[bytes]:
    with file.open("rb") as stream:
        while chunk := stream.read(_CHUNK_BYTES):
            yield chunk
