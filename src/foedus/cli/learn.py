"""``learn``: files of rows become statistics here, and these alone travel to a project of the server."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from foedus.cli.projects import server_of
from foedus.core.errors import Conflict, Invalid, NotFound
from foedus.core.statistics import Kind
from foedus.options import settings
from foedus.sdk import Operator, Site

if TYPE_CHECKING:
    from foedus.core.statistics import Plan, Statistics

CUSTOMER = "default"


@click.command()
@click.argument("sources", nargs=-1, required=True, type=click.Path(exists=True, path_type=Path), metavar="SOURCE...")
@click.option("--project", required=True, help="NAME of a project, or CUSTOMER/NAME. Made if it is not there.")
@click.option("--engine", type=click.Choice(["local", "dask"]), default="local", show_default=True, help="Who reads.")
@click.option("--scheduler", metavar="ADDRESS", help="Of a Dask cluster. [default: one on this machine]")
@click.option("--threads", type=click.IntRange(1, 256), default=2, show_default=True, help="Of the local engine.")
@click.option("--kind", "kinds", multiple=True, metavar="COLUMN=KIND", help="continuous, binary, category or ignored.")
@click.option("--key", help="Names these rows: the same key and rows never count twice. [default: a new one]")
@click.option("--token", envvar="FOEDUS_OPERATOR_TOKEN", help="[default: FOEDUS_OPERATOR_TOKEN, or the data folder's]")
@click.option("--url", envvar="FOEDUS_URL", help="[default: FOEDUS_URL, or http://HOST:PORT of the settings]")
def learn(
    sources: tuple[Path, ...], *, project: str, engine: str, scheduler: str | None, threads: int,
    kinds: tuple[str, ...], key: str | None, token: str | None, url: str | None,
) -> None:  # fmt: skip
    """Learn SOURCE: Parquet, CSV and Arrow files, and all of them below folders. Rows stay where they are."""
    address, secret = server_of(url, token, settings())
    customer, _, name = project.rpartition("/")
    with Site(address, secret, customer=customer or CUSTOMER, project=name) as site:
        plan = _plan(site, address, secret, customer)
        value = _learned(sources, plan, _kinds(kinds), engine, scheduler, threads)
        site.contribute(value, key=key)
    click.echo(f"{value.rows} rows of {len(value.columns)} columns learned by {customer or CUSTOMER}/{name}")


def _plan(site: Site, url: str, token: str, customer: str) -> "Plan":
    """What the project keeps; it is made if it is not there, and so is the customer of those who name none."""
    try:
        return site.plan()
    except NotFound:
        if not customer:
            with Operator(url, token) as operator:
                _unless_there(lambda: operator.add_customer(CUSTOMER))
        _unless_there(site.create)
        return site.plan()


def _unless_there(make: Any) -> None:
    try:
        make()
    except Conflict:
        return


def _learned(
    sources: tuple[Path, ...], plan: "Plan", kinds: dict[str, str], engine: str, scheduler: str | None, threads: int
) -> "Statistics":
    try:
        from foedus.connectors.tables.arrow import Roles, learn_files, locally, on_dask
    except ModuleNotFoundError as exc:
        raise Invalid(f"reading files needs the module {exc.name!r}: pip install 'foedus[arrow]'") from exc
    ignored = tuple(column for column, kind in kinds.items() if kind == "ignored")
    roles = Roles({column: Kind(kind) for column, kind in kinds.items() if kind != "ignored"}, ignored)
    return learn_files(sources, plan, roles, engine=on_dask(scheduler) if engine == "dask" else locally(threads))


def _kinds(words: tuple[str, ...]) -> dict[str, str]:
    known = {Kind.CONTINUOUS.value, Kind.BINARY.value, Kind.CATEGORY.value, "ignored"}
    kinds = {}
    for word in words:
        column, _, kind = word.rpartition("=")
        if not column or kind not in known:
            raise click.BadParameter(f"{word!r} is not COLUMN=KIND with one of {', '.join(sorted(known))}")
        kinds[column] = kind
    return kinds
