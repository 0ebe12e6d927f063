"""When which phone was there, as a file for later analysis."""

import json
from collections.abc import Iterable, Iterator
from datetime import datetime

from django.core.management.base import CommandParser

from foedus.server.api.command import FleetCommand, Options
from foedus.server.api.wording import ZONE
from foedus.services.fleet import objects, reporting


class Command(FleetCommand):
    help = "Store when devices reported to be available, between two days, in results/responses/<filename>."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("start", type=_midnight, help="From this day on (YYYY-MM-DD), Madrid time")
        parser.add_argument("end", type=_midnight, help="To the beginning of this day (YYYY-MM-DD)")
        parser.add_argument("filename", help="Name of the file")

    def run(self, options: Options) -> None:
        found = reporting.pings(options["start"], options["end"])
        objects.put(self.ports, f"results/responses/{options['filename']}", _json(found))


def _json(pings: Iterable[tuple[datetime, str]]) -> Iterator[bytes]:
    """A JSON list, written while it is read: studies are long."""
    separator = "\n"
    yield b"["
    for moment, username in pings:
        entry = {"timestamp": f"{moment.astimezone(ZONE):%Y-%m-%dT%H:%M:%S}", "username": username}
        yield f"{separator}    {json.dumps(entry)}".encode()
        separator = ",\n"
    yield b"]" if separator == "\n" else b"\n]"


def _midnight(text: str) -> datetime:
    return datetime.strptime(text, "%Y-%m-%d").replace(tzinfo=ZONE)
