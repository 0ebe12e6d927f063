"""Everything that phones said of themselves lately."""

from django.core.management.base import CommandParser

from foedus.server.api.command import FleetCommand, Options, add_detailed, add_json, add_response_filters, wanted
from foedus.server.api.wording import INDENT, response, response_json, written
from foedus.services.fleet import reporting


class Command(FleetCommand):
    help = "Report device status responses per user."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "usernames",
            nargs="*",
            help="Usernames to report. If not specified, all registerd users will be reported.",
        )
        add_response_filters(parser)
        add_detailed(parser, "Also show networks, and how many users had no response")
        add_json(parser)

    def run(self, options: Options) -> None:
        found = reporting.responses(options["usernames"], wanted(options, self.now))
        if options["json"]:
            self.say_json({username: [response_json(said) for said in all_said] for username, all_said in found})
            return
        heard = silent = 0
        for username, all_said in found:
            if not all_said:
                silent += 1
                continue
            heard += 1
            self.say(f"Filtered Device Status Responses of user '{username}':")
            for said in all_said:
                self.say(f"{INDENT}{written(said.at)} - {response(said, network=options['detailed'])}")
            self.say("")
        if options["detailed"]:
            self.say(f"Total: {heard} responses ({silent} users with no relative reponses).")
