"""What time alone changes: for a scheduler to run, or a curious operator."""

from functools import partial

from django.core.management.base import CommandError, CommandParser

from foedus.server.api import progress
from foedus.server.api.command import FleetCommand, Options, add_json
from foedus.server.lanes import do_due_jobs
from foedus.server.work import fleet_options
from foedus.services.fleet.tick import tick
from foedus.services.learning import clock


class Command(FleetCommand):
    help = "Decide rounds whose time is over, start those that can be started, and say what the others wait for."

    def add_arguments(self, parser: CommandParser) -> None:
        add_json(parser)

    def run(self, options: Options) -> None:
        # A scheduler that runs this every few minutes is all that some operators have: no worker, no clock.
        report = tick(self.ports, fleet_options(), now=self.now, work=partial(do_due_jobs, self.ports))
        clock.tick(self.ports, now=self.now)
        do_due_jobs(self.ports)
        if options["json"]:
            self.say_json(progress.as_json(report))
        else:
            self.say(*progress.lines(report))
        failed = [project.title for project in report.projects if project.error]
        if failed:
            raise CommandError(f"{len(failed)} project(s) failed and will be tried again: {', '.join(failed)}")
