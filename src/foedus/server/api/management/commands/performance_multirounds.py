"""How well rounds went, one after the other: a table to plot from."""

from django.core.management.base import CommandParser

from foedus.records.fleet.models import FleetProject
from foedus.server.api.command import Options, ProjectCommand, add_json, whole
from foedus.server.api.wording import accuracy, performance_json
from foedus.services.fleet import reporting
from foedus.services.fleet.status import RoundStatus

_DECIDED = (RoundStatus.COMPLETE, RoundStatus.INVALID)
_DIGITS = 4


class Command(ProjectCommand):
    help = "Report the performance of all rounds of a project that are over."

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("--from", type=whole(0), dest="first", metavar="ROUND", help="First round to report")
        parser.add_argument("--to", type=whole(0), dest="last", metavar="ROUND", help="Last round to report")
        add_json(parser)

    def run_on(self, fleet: FleetProject, options: Options) -> None:
        performances = reporting.performances(fleet, options["first"], options["last"])
        over = (found for found in performances if found.status in _DECIDED)
        if options["json"]:
            self.say_json([performance_json(found) for found in over])
            return
        rows = (
            (
                found.number,
                found.status.label,
                found.devices,
                f"{found.loss_mean:.{_DIGITS}f}",
                f"{found.loss_std:.{_DIGITS}f}",
                accuracy(found, _DIGITS),
            )
            for found in over
        )
        self.say_rows("round, status, devices, loss_mean, loss_std, test_accuracy", rows)
