"""Accounts for a whole study."""

from django.core.management.base import CommandParser

from foedus.server.api.accounts import add_account_options, organisation_in
from foedus.server.api.command import FleetCommand, Options, whole
from foedus.services.fleet.accounts import create_account, new_password


class Command(FleetCommand):
    help = "Create users accounts with random passwords."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("accounts", type=whole(1), help="Number of accounts")
        parser.add_argument("--prefix", default="user", help="Prefix that will be used in the usernames")
        parser.add_argument(
            "--samples-index-start",
            type=whole(0),
            default=0,
            help="Sample index start that will increment per user",
        )
        add_account_options(parser)

    def run(self, options: Options) -> None:
        """Each account is shown once it is there: passwords are kept nowhere else, should a later one fail."""
        organisation = organisation_in(options)
        first = options["samples_index_start"]
        self.say("username, password, samples_index")
        for number in range(options["accounts"]):
            username, password = f"{options['prefix']}{number + 1}", new_password(options["length"])
            create_account(username, password, first + number, organisation=organisation, now=self.now)
            self.say_row(username, password, first + number)
            self.stdout.flush()
