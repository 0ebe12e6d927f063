"""What the commands have in common: where they find things, and how they fail."""

import json
from argparse import ArgumentTypeError
from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from math import isfinite
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import DatabaseError
from django.utils import timezone

from foedus import bootstrap
from foedus.core.errors import PlatformError
from foedus.ports import Ports
from foedus.records.fleet.models import FleetProject
from foedus.server import start
from foedus.services.fleet import reporting
from foedus.services.fleet.reporting import Wanted

MAX_MINUTES = 60 * 24 * 366 * 10
Options = dict[str, Any]


class FleetCommand(BaseCommand):
    """A command whose ``run`` raises errors of foedus. Programs may hand over ``ports`` and ``now``."""

    stealth_options = ("ports", "now")
    requires_system_checks = ()  # they load every page of the server, and schedulers run commands all the time
    ports: Ports
    now: datetime

    def run(self, options: Options) -> None:
        raise NotImplementedError

    def run_from_argv(self, argv: list[str]) -> None:
        """From a shell. What is logged goes to standard error, so that standard output is the answer alone."""
        settings = bootstrap.settings()
        start.configure_logging(settings.log_level, settings.log_format)
        super().run_from_argv(argv)

    def handle(self, *args: Any, **options: Any) -> None:  # noqa: ARG002 - Django's signature
        try:
            self.ports = options.get("ports") or bootstrap.ports()
            self.now = options.get("now") or timezone.now()
            self.run(options)
        except PlatformError as exc:
            raise CommandError(exc.message) from exc
        except DatabaseError as exc:
            raise CommandError(
                f"The database cannot be used: {exc}. Its tables are made by: manage.py migrate"
            ) from exc

    def say(self, *lines: str) -> None:
        for line in lines:
            self.stdout.write(line)

    def say_json(self, value: Any) -> None:
        self.stdout.write(json.dumps(value, indent=4, allow_nan=False))

    def say_row(self, *cells: object) -> None:
        self.stdout.write(", ".join(str(cell) for cell in cells))

    def say_rows(self, header: str, rows: Iterable[Iterable[object]]) -> None:
        self.stdout.write(header)
        for row in rows:
            self.say_row(*row)


class ProjectCommand(FleetCommand):
    """A command about one project."""

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("project", type=int, help="Project ID")

    def run(self, options: Options) -> None:
        self.run_on(reporting.project(options["project"]), options)

    def run_on(self, fleet: FleetProject, options: Options) -> None:
        raise NotImplementedError


def add_json(parser: CommandParser) -> None:
    parser.add_argument("--json", action="store_true", help="Print JSON instead")


def add_detailed(parser: CommandParser, what: str) -> None:
    parser.add_argument("--detailed", action="store_true", help=what)


def add_response_filters(parser: CommandParser) -> None:
    parser.add_argument("--past-minutes", type=_minutes, default=60.0, help="Past time in minutes to lookup")
    parser.add_argument(
        "--battery-level",
        type=_level,
        default=0.0,
        help="Include power-plugged AND users with >= battery level threshold.",
    )
    parser.add_argument("--plugged-only", action="store_true", help="Only include power-plugged users")


def wanted(options: Options, now: datetime) -> Wanted:
    return Wanted(
        since=now - timedelta(minutes=options["past_minutes"]),
        battery_level=options["battery_level"],
        plugged_only=options["plugged_only"],
    )


def whole(low: int, high: int = 2**31 - 1) -> Callable[[str], int]:
    """An argument's type: integers from ``low`` to ``high``."""

    def read(text: str) -> int:
        value = int(text)
        if not low <= value <= high:
            raise ArgumentTypeError(f"must be {low} to {high}, not {text}")
        return value

    return read


def number(low: float, high: float) -> Callable[[str], float]:
    """An argument's type: numbers from ``low`` to ``high``."""

    def read(text: str) -> float:
        value = float(text)
        if not isfinite(value) or not low <= value <= high:
            raise ArgumentTypeError(f"must be {low:g} to {high:g}, not {text}")
        return value

    return read


_minutes = number(0, MAX_MINUTES)
_level = number(0, 1)
