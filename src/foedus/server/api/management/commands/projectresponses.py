"""Which of a project's phones could train now."""

from collections.abc import Sequence
from typing import Any

from django.core.management.base import CommandParser

from foedus.records.fleet.models import FleetProject
from foedus.server.api.command import Options, ProjectCommand, add_detailed, add_json, add_response_filters, wanted
from foedus.server.api.wording import INDENT, ratio, ratio_json, response, response_json, written
from foedus.services.fleet import reporting
from foedus.services.fleet.reporting import Response


class Command(ProjectCommand):
    help = "Query and report device responses for users registered to a project."

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        add_response_filters(parser)
        parser.add_argument("--show-details", action="store_true", help="Show details for each user's last response")
        add_detailed(parser, "Also name the project, and the network of each response")
        add_json(parser)

    def run_on(self, fleet: FleetProject, options: Options) -> None:
        found = reporting.latest_responses(fleet, wanted(options, self.now))
        assigned = reporting.assigned_count(fleet)
        detailed = options["detailed"]
        if options["json"]:
            self.say_json(_json(found, assigned))
            return
        share = ratio(len(found), assigned)
        if detailed:
            self.say(f"Project '{fleet.title}'")
            self.say(f"Responses: {len(found)}. Currently registered: {assigned} (ratio: {share})")
        else:
            self.say(f"Project responses: {len(found)}/{assigned} (ratio: {share})")
        if options["show_details"]:
            for said in found:
                rest = response(said, network=detailed)
                self.say(f"{INDENT}{said.username} - last_reponse: {written(said.at)} - {rest}")


def _json(found: Sequence[Response], assigned: int) -> dict[str, Any]:
    return {
        "responses": len(found),
        "assigned": assigned,
        "ratio": ratio_json(len(found), assigned),
        "details": [response_json(said) for said in found],
    }
