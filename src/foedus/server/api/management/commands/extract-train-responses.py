"""Who took part in which round, as a file for later analysis."""

import json

from django.core.management.base import CommandParser

from foedus.records.fleet.models import FleetProject
from foedus.server.api.command import Options, ProjectCommand
from foedus.services.fleet import objects, reporting
from foedus.services.fleet.reporting import Part
from foedus.services.fleet.status import RoundStatus

_SHOWN = (RoundStatus.COMPLETE, RoundStatus.TRAINING)


class Command(ProjectCommand):
    help = "Store the devices of each complete or training round in results/distributions/<filename>."

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("filename", help="Name of the file")
        parser.add_argument(
            "--type",
            choices=[part.value for part in Part],
            default=Part.REPLIED.value,
            help="Devices that were invited, that joined, or that trained",
        )

    def run_on(self, fleet: FleetProject, options: Options) -> None:
        part = Part(options["type"])
        rounds = [
            [person._asdict() for person in found.people[part]]
            for found in reporting.round_parts(fleet, [part])
            if found.status in _SHOWN
        ]
        content = json.dumps(rounds, indent=4).encode()
        objects.put(self.ports, f"results/distributions/{options['filename']}", [content])
