"""``customers``: accounts that sign their requests, on the machine (or with the settings) of the server."""

import os
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from foedus.ports import Ports
    from foedus.services.customers.accounts import NewKey

_KEY = click.option(
    "--secret-key", metavar="BASE64", help="16 bytes in Base64; - reads them from standard input. [default: random]"
)
_EXPIRES = click.option("--expires", type=click.FloatRange(min=0), metavar="SECONDS", help="The key ends by itself.")


@click.group()
@click.option(
    "--data",
    type=click.Path(file_okay=False, path_type=Path),
    help="Data folder. [default: FOEDUS_DATA, or the platform's]",
)
def customers(data: Path | None) -> None:
    """Add and list SymetryML-style accounts, give them new keys, and shut them out."""
    if data is not None:
        os.environ["FOEDUS_DATA"] = str(data)


@customers.command()
@click.argument("cid")
@_KEY
@click.option("--legacy", is_flag=True, help="May seal bodies in the old way, which does not notice changes.")
@_EXPIRES
@click.option("--organisation", help="Whose it is. [default: the first organisation]")
def add(cid: str, secret_key: str | None, expires: float | None, organisation: str | None, *, legacy: bool) -> None:
    """Add the customer CID and print its secret key, once."""
    ports = _opened()
    from foedus.services.customers.accounts import AddCustomer, add_customer
    from foedus.services.shell.authorisation import SYSTEM

    command = AddCustomer(
        cid=cid, secret_key=_typed(secret_key), legacy=legacy, expires_in_s=expires, organisation=organisation
    )
    _show(add_customer(ports, SYSTEM, command, now=_now()))


@customers.command()
@click.argument("cid")
@_KEY
@_EXPIRES
@click.option(
    "--overlap", type=click.FloatRange(min=0), default=86_400.0, show_default=True, metavar="SECONDS",
    help="How much longer the keys from before are valid.",
)  # fmt: skip
def rotate(cid: str, secret_key: str | None, expires: float | None, overlap: float) -> None:
    """Give the customer CID another key and print it, once."""
    ports = _opened()
    from foedus.services.customers.accounts import rotate_key
    from foedus.services.shell.authorisation import SYSTEM

    key = rotate_key(
        ports, SYSTEM, cid, secret_key=_typed(secret_key), overlap_s=overlap, expires_in_s=expires, now=_now()
    )
    _show(key)


@customers.command()
@click.argument("cid")
@click.option(
    "--in", "seconds", type=click.FloatRange(min=0), default=0.0, show_default=True, metavar="SECONDS",
    help="When they end.",
)  # fmt: skip
def expire(cid: str, seconds: float) -> None:
    """Have all keys of the customer CID end."""
    _opened()
    from foedus.services.customers.accounts import expire_keys
    from foedus.services.shell.authorisation import SYSTEM

    count = expire_keys(SYSTEM, cid, in_s=seconds, now=_now())
    click.echo(f"{cid}: {count} {'key ends' if count == 1 else 'keys end'} in {seconds:g} s")


@customers.command()
@click.argument("cid")
def disable(cid: str) -> None:
    """Shut the customer CID out, whatever its keys."""
    _set_disabled(cid, disabled=True)


@customers.command()
@click.argument("cid")
def enable(cid: str) -> None:
    """Let the customer CID in again."""
    _set_disabled(cid, disabled=False)


@customers.command()
@click.argument("cid")
@click.argument("subject")
@click.option("--issuer", help="The provider. [default: FOEDUS_OIDC_ISSUER]")
def link(cid: str, subject: str, issuer: str | None) -> None:
    """Whoever signs in as the provider's SUBJECT (the claim "sub") is the customer CID."""
    _opened()
    from foedus import bootstrap
    from foedus.services.customers.signing_in import link_identity
    from foedus.services.shell.authorisation import SYSTEM

    issuer = issuer or bootstrap.settings().oidc_issuer
    if not issuer:
        raise click.UsageError("name the provider: --issuer, or FOEDUS_OIDC_ISSUER")
    link_identity(SYSTEM, cid, issuer, subject, now=_now())


@customers.command()
@click.argument("cid")
def unlink(cid: str) -> None:
    """Have nobody sign in as the customer CID any longer. Its keys stay valid."""
    _opened()
    from foedus.services.customers.signing_in import unlink_identities
    from foedus.services.shell.authorisation import SYSTEM

    count = unlink_identities(SYSTEM, cid, now=_now())
    click.echo(f"{cid}: {count} {'account' if count == 1 else 'accounts'}")


@customers.command("list")
def list_command() -> None:
    """List customers: id, organisation, state, valid keys, tab-separated. Keys themselves are not shown."""
    _opened()
    from foedus.services.customers.accounts import list_customers
    from foedus.services.shell.authorisation import SYSTEM

    now = _now()
    for row in list_customers(SYSTEM):
        valid = sum(key.expires_at is None or key.expires_at > now for key in row.keys.all())
        state = "disabled" if row.disabled_at else "legacy" if row.legacy else "active"
        click.echo(f"{row.cid}\t{row.organisation.name}\t{state}\t{valid}")


def _set_disabled(cid: str, *, disabled: bool) -> None:
    _opened()
    from foedus.services.customers.accounts import set_disabled
    from foedus.services.shell.authorisation import SYSTEM

    set_disabled(SYSTEM, cid, disabled=disabled, now=_now())


def _show(key: "NewKey") -> None:
    click.echo(f"{key.cid}\t{key.secret_key}")
    until = "has no end" if key.expires_at is None else f"ends {key.expires_at:%Y-%m-%d %H:%M:%S} UTC"
    click.echo(f"This is shown once. The key {until}.", err=True)


def _typed(text: str | None) -> str | None:
    return sys.stdin.readline().strip() if text == "-" else text


def _opened() -> "Ports":
    from foedus import bootstrap
    from foedus.server import start

    start.prepare()
    return bootstrap.ports()


def _now() -> datetime:
    return datetime.now(UTC)
