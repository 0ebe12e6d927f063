"""Remove blobs that nothing names any more."""

from datetime import timedelta
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone

from foedus import bootstrap
from foedus.server.work import folders
from foedus.services.shell.garbage import MIN_AGE, garbage

_HOUR_S = 3600.0


class Command(BaseCommand):
    help = "Remove blobs that nothing names, left by processes that were killed. The clock does so every hour."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--dry-run", action="store_true", help="Say what would be removed, and remove nothing")
        parser.add_argument(
            "--older-than", type=float, default=MIN_AGE.total_seconds() / _HOUR_S, metavar="HOURS",
            help="Leave alone what is younger: it may be on its way (default: %(default)g; at least 1)",
        )  # fmt: skip

    def handle(self, *_: Any, **options: Any) -> None:
        hours = options["older_than"]
        if not 1 <= hours <= 1e6:
            raise CommandError("--older-than is at least 1 hour: what is younger may be on its way")
        ports = bootstrap.ports()
        blobs, size_bytes = 0, 0
        for blob in garbage(ports, timezone.now() - timedelta(hours=hours), folders(ports)):
            if options["dry_run"]:
                self.stdout.write(f"{blob.size_bytes:>14} {blob.key}")
            else:
                ports.blobs.delete(blob.key)
            blobs, size_bytes = blobs + 1, size_bytes + blob.size_bytes
        verb = "would be removed" if options["dry_run"] else "removed"
        self.stdout.write(f"{blobs} blobs, {size_bytes} bytes {verb}.")
