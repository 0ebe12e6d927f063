"""``foedus manage``: any management command, as ``python manage.py`` runs it."""

import os
from pathlib import Path

import click


@click.command(
    context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False}, add_help_option=False
)
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def manage(arguments: tuple[str, ...]) -> None:
    """Run a management command, such as migrate or createsuperuser."""
    os.environ["DJANGO_SETTINGS_MODULE"] = "foedus.server.settings"  # whatever else this machine runs
    from django.core.management import ManagementUtility

    from foedus import bootstrap

    Path(bootstrap.settings().data).mkdir(parents=True, exist_ok=True, mode=0o700)
    ManagementUtility(["foedus manage", *arguments]).execute()
