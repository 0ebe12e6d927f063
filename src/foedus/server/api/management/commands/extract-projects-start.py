"""When projects ran."""

from django.core.management.base import CommandParser

from foedus.server.api.command import FleetCommand, Options, add_json
from foedus.server.api.wording import iso, written
from foedus.services.fleet import reporting


class Command(FleetCommand):
    help = "Report when each project began, and when its newest round ends at the latest."

    def add_arguments(self, parser: CommandParser) -> None:
        add_json(parser)

    def run(self, options: Options) -> None:
        spans = reporting.spans()
        if options["json"]:
            self.say_json(
                [
                    {"project": span.id, "title": span.title, "begin": iso(span.begins_at), "end": iso(span.ends_at)}
                    for span in spans
                ]
            )
            return
        for span in spans:
            begin, end = written(span.begins_at), written(span.ends_at)
            self.say(f"Project {span.id} ({span.title}) \t Begin: {begin} \t End: {end}")
