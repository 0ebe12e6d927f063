"""``foedus manage``: any management command, as ``python manage.py`` runs it, on a data folder made ready for it."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click

from foedus.options import settings

# What works without a database, or looks after the tables itself. Everything else finds a service that is ready.
_UNPREPARED = frozenset(
    {"check", "collectstatic", "compilemessages", "diffsettings", "findstatic", "help", "makemessages", "test"}
    | {"makemigrations", "migrate", "optimizemigration", "showmigrations", "sqlmigrate", "squashmigrations"}
    | {"startapp", "startproject", "version"}
)
_SHORT = frozenset(["-h", "--help", "--version"])


@click.command(
    context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False}, add_help_option=False
)
@click.option(
    "--data",
    type=click.Path(file_okay=False, path_type=Path),
    help="Data folder; before the command. [default: FOEDUS_DATA, or the platform's]",
)
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def manage(arguments: tuple[str, ...], data: Path | None) -> None:
    """Run a management command, such as createsuperuser. A data folder that is not there yet is made first."""
    if data is not None:
        os.environ["FOEDUS_DATA"] = str(data)
    os.environ["DJANGO_SETTINGS_MODULE"] = "foedus.server.settings"  # whatever else this machine runs
    from django.core.exceptions import ImproperlyConfigured
    from django.core.management import ManagementUtility
    from django.db import OperationalError

    utility = ManagementUtility(["foedus manage", *arguments])
    try:
        if not _wants_service(arguments):
            settings().data.mkdir(parents=True, exist_ok=True, mode=0o700)
            utility.execute()
            return
        from foedus.server import start

        is_new = not (settings().data / start.TOKEN_FILE).exists()
        start.prepare()
        if is_new:
            _say_new(settings().data)
        with _at_home(arguments[0]):
            utility.execute()
    except OperationalError as exc:
        raise click.ClickException(f"the database cannot do this: {_first_line(exc)}") from exc
    except ImproperlyConfigured as exc:
        raise click.ClickException(f"the settings do not fit: {_first_line(exc)}") from exc


def _say_new(data: Path) -> None:
    """Whoever meant another folder would look for its rows in vain."""
    click.echo(f"Note: no service was in the data folder {data} yet; a new one is. --data names another.", err=True)


def _wants_service(arguments: tuple[str, ...]) -> bool:
    return bool(arguments) and arguments[0] not in _UNPREPARED and not _SHORT.intersection(arguments)


@contextmanager
def _at_home(command: str) -> Iterator[None]:
    """Who is made by ``createsuperuser`` belongs to the first organisation: without one, nobody has projects."""
    if command != "createsuperuser":
        yield
        return
    from foedus.records.accounts.models import Organisation, User

    before = set(User.objects.values_list("pk", flat=True))
    yield
    made = User.objects.filter(organisation=None).exclude(pk__in=before)
    made.update(organisation=Organisation.objects.order_by("pk").first())


def _first_line(exc: Exception) -> str:
    return (str(exc).strip() or type(exc).__name__).splitlines()[0]
