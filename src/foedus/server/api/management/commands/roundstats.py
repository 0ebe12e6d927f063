"""Who joined which round."""

from collections.abc import Iterable
from typing import Any

from django.core.management.base import CommandParser

from foedus.records.fleet.models import FleetProject
from foedus.server.api.command import Options, ProjectCommand, add_detailed, add_json
from foedus.server.api.wording import names, ratio, ratio_json
from foedus.services.fleet import reporting
from foedus.services.fleet.reporting import Part, RoundParts

_DETAILED = "round, status, requested_devices, joined_devices, reported_devices, reported_devices_usernames"


class Command(ProjectCommand):
    help = "Report joined users per round."

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        add_detailed(parser, "Report how many devices were invited, joined and reported, and who reported")
        add_json(parser)

    def run_on(self, fleet: FleetProject, options: Options) -> None:
        assigned = reporting.assigned_count(fleet)
        rounds = reporting.round_parts(fleet)
        if options["json"]:
            self.say_json([_json(found, assigned) for found in rounds])
        elif options["detailed"]:
            self.say(f"Project '{fleet.title}'", f"Registered devices: {assigned}", "")
            self.say_rows(_DETAILED, _detailed(rounds))
        else:
            self.say_rows("round, status, joined_devices_ratio, usernames", _joined(rounds, assigned))


def _joined(rounds: Iterable[RoundParts], assigned: int) -> Iterable[tuple[object, ...]]:
    for found in rounds:
        joined = found.people[Part.JOINED]
        yield found.number, found.status.label, ratio(len(joined), assigned), names(joined)


def _detailed(rounds: Iterable[RoundParts]) -> Iterable[tuple[object, ...]]:
    for found in rounds:
        reported = found.people[Part.REPLIED]
        counts = (len(found.people[part]) for part in Part)
        yield found.number, found.status.label, *counts, names(reported)


def _json(found: RoundParts, assigned: int) -> dict[str, Any]:
    return {
        "round": found.number,
        "status": found.status.label,
        "joined_devices_ratio": ratio_json(len(found.people[Part.JOINED]), assigned),
        "requested": names(found.people[Part.AVAILABLE]),
        "joined": names(found.people[Part.JOINED]),
        "reported": names(found.people[Part.REPLIED]),
    }
