"""What commands of the market share: whose key, which server, and how what is found is printed."""

import json
import os
from collections.abc import Callable
from dataclasses import asdict, is_dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from foedus import bootstrap
from foedus.core.errors import Invalid

if TYPE_CHECKING:
    from foedus.sdk.market import Market, Run

F = TypeVar("F", bound=Callable[..., Any])

_KEY = click.option(
    "--key", "key_file", type=click.Path(dir_okay=False, path_type=Path), envvar="FOEDUS_MARKET_KEY", required=True,
    help="File with your key. [default: FOEDUS_MARKET_KEY]",
)  # fmt: skip
_URL = click.option(
    "--url",
    envvar="FOEDUS_URL",
    help="Address of the market. [default: FOEDUS_URL, or http://HOST:PORT of the settings]",
)
_JSON = click.option("--json", "as_json", is_flag=True, help="Print JSON, one object a line.")
_DATA = click.option("--data", type=click.Path(file_okay=False, path_type=Path), help="Data folder of the server.")


def as_anybody(command: F) -> F:
    """Options of a command that takes no key."""
    return _URL(_JSON(command))


def as_party(command: F) -> F:
    """Options of a command that acts for somebody."""
    return _KEY(as_anybody(command))


def on_its_machine(command: F) -> F:
    """Options of a command for the server's operator."""
    return _DATA(command)


def connected(url: str | None, key_file: Path | None = None) -> "Market":
    from foedus.sdk.market import Market, read_key

    return Market(_url(url), read_key(key_file) if key_file else None)


def run_named(text: str) -> "Run":
    """A run as ``market run`` has printed it. Raises Invalid."""
    from foedus.sdk.market import Run

    agreement, slash, execution = text.partition("/")
    if not (slash and agreement and execution):
        raise Invalid(f"a run is named AGREEMENT/RUN, as `foedus market run` prints it, not {text[:80]!r}")
    return Run(agreement=agreement, id=execution)


def record(found: Any, **more: Any) -> None:
    """Print an answer as JSON."""
    whole = asdict(found) if is_dataclass(found) and not isinstance(found, type) else found
    click.echo(json.dumps({**whole, **more}, default=str, ensure_ascii=False))


def one_line(text: str) -> str:
    """What others wrote, without the characters that could move about in a terminal."""
    return "".join(letter if letter.isprintable() else " " for letter in text)


def use(data: Path | None) -> None:
    """Make ``data`` the server's folder for whatever is done next. Raises Invalid where no server ever ran there.

    Money that is made where none did would be seen by nobody.
    """
    if data is not None:
        os.environ["FOEDUS_DATA"] = str(data)
    options = bootstrap.settings()
    if not options.database_url and not (options.data / "foedus.sqlite3").exists():
        raise Invalid(f"no server has its data in {options.data}; name its folder by --data or FOEDUS_DATA")


def _url(url: str | None) -> str:
    options = bootstrap.settings()
    host = f"[{options.host}]" if ":" in options.host else options.host
    return (url or f"http://{host}:{options.port}").rstrip("/")
