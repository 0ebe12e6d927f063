"""Who joined how many rounds."""

from django.core.management.base import CommandParser

from foedus.records.fleet.models import FleetProject
from foedus.server.api.command import Options, ProjectCommand, add_detailed, add_json
from foedus.services.fleet import reporting


class Command(ProjectCommand):
    help = "Report number of joined rounds per user."

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        add_detailed(parser, "Also name the project and the users that joined no round")
        add_json(parser)

    def run_on(self, fleet: FleetProject, options: Options) -> None:
        joined = reporting.joined_rounds(fleet)
        if options["json"]:
            self.say_json(joined)
            return
        if options["detailed"]:
            self.say(f"Project '{fleet.title}'")
        self.say_rows("username, joined_rounds", joined.items())
        if options["detailed"]:
            absent = reporting.never_joined(fleet)
            self.say(f"Excluded {len(absent)} users with zero joined rounds: {absent}")
