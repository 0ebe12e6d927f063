"""How well one round went."""

from typing import Any

from django.core.management.base import CommandParser

from foedus.records.fleet.models import FleetProject
from foedus.server.api.command import Options, ProjectCommand, add_json, whole
from foedus.server.api.wording import accuracy, performance_json
from foedus.services.fleet import reporting
from foedus.services.fleet.reporting import RoundPerformance


class Command(ProjectCommand):
    help = "Report round performance of a project. If a round is not specified, the last one will be used."

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.add_argument(
            "--round",
            type=whole(0),
            help="Round to be evaluated. If not defined, last completed round will be used.",
        )
        add_json(parser)

    def run_on(self, fleet: FleetProject, options: Options) -> None:
        chosen = options["round"]
        number = reporting.latest_complete_round(fleet) if chosen is None else chosen
        found = reporting.performance(fleet, number)
        complete, invalid = reporting.rounds_done(fleet)
        if options["json"]:
            self.say_json(_json(fleet, found, complete, invalid))
            return
        self.say(f"Project: {fleet.title}")
        if chosen is None:
            self.say(f"Exact round was not specified, using last completed round '{number}'")
        self.say(
            f"Rounds completed: {complete}/{fleet.number_of_rounds} (plus {invalid} invalid)",
            f"Round {number} Test Accuracy: {accuracy(found)}",
            f"Round {number} Loss: {found.loss_mean:.2f} ({found.loss_std:.2f})",
        )


def _json(fleet: FleetProject, found: RoundPerformance, complete: int, invalid: int) -> dict[str, Any]:
    return {
        "project": fleet.pk,
        "title": fleet.title,
        "complete": complete,
        "invalid": invalid,
        "number_of_rounds": fleet.number_of_rounds,
        **performance_json(found),
    }
