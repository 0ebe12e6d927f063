"""What the commands that make accounts have in common."""

from django.core.management.base import CommandParser

from foedus.core.errors import NotFound
from foedus.records.accounts.models import Organisation
from foedus.server.api.command import Options, whole


def add_account_options(parser: CommandParser) -> None:
    parser.add_argument("--length", type=whole(1, 128), default=10, help="Password length")
    parser.add_argument("--organisation", metavar="NAME", help="Organisation that the devices belong to")


def organisation_in(options: Options) -> Organisation | None:
    """Where new devices belong; None for where they usually do. Raises NotFound."""
    name = options["organisation"]
    found = None if name is None else Organisation.objects.filter(name=name).first()
    if name is not None and found is None:
        raise NotFound(f"Organisation '{name}' does not exist.")
    return found
