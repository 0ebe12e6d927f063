"""Which phones take part in a project."""

from django.core.management.base import CommandParser

from foedus.records.fleet.models import FleetProject
from foedus.server.api.command import Options, ProjectCommand
from foedus.services.fleet.assignment import assign_by_prefix
from foedus.services.shell.authorisation import SYSTEM


class Command(ProjectCommand):
    help = "Query users using a prefix and assign them to a particular project."

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("--prefix", default="user", help="Prefix of users to be assigned to the given project.")

    def run_on(self, fleet: FleetProject, options: Options) -> None:
        devices = assign_by_prefix(self.ports, SYSTEM, fleet.pk, options["prefix"], now=self.now)
        self.say(f"{len(devices)} user(s) assigned succesfully to project '{fleet.title}'")
