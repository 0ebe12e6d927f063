"""How often phones said that they could train."""

from django.core.management.base import CommandParser

from foedus.server.api.command import FleetCommand, Options, add_json, add_response_filters, wanted
from foedus.services.fleet import reporting


class Command(FleetCommand):
    help = "Count device status responses per user."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "usernames",
            nargs="*",
            help="Usernames to report. If not specified, all registerd users will be reported.",
        )
        add_response_filters(parser)
        add_json(parser)

    def run(self, options: Options) -> None:
        found = reporting.responses(options["usernames"], wanted(options, self.now))
        counts = ((username, len(responses)) for username, responses in found)
        if options["json"]:
            self.say_json(dict(counts))
        else:
            self.say_rows("username, responses", counts)
