"""One account with a name of its own."""

from django.core.management.base import CommandParser

from foedus.server.api.accounts import add_account_options, organisation_in
from foedus.server.api.command import FleetCommand, Options, whole
from foedus.services.fleet.accounts import create_account, new_password


class Command(FleetCommand):
    help = "Create a user account with a random password."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("username", help="Username")
        parser.add_argument("samples_index", type=whole(0), help="Which of the sample files the device gets")
        add_account_options(parser)

    def run(self, options: Options) -> None:
        username, index = options["username"], options["samples_index"]
        password = new_password(options["length"])
        create_account(username, password, index, organisation=organisation_in(options), now=self.now)
        self.say(
            "Created account with the following details:",
            f"Username: {username}",
            f"Password: {password}",
            f"Samples Index: {index}",
        )
