"""Print the token of a user, for ``Authorization: Token ...``."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone

from foedus import bootstrap
from foedus.records.accounts.models import User
from foedus.services.aggregation.tokens import renew_token, token_of


class Command(BaseCommand):
    help = "Print the token of a user: the same each time, unless a new one is asked for."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("username")
        parser.add_argument("-r", "--reset", action="store_true", help="make another token; the present one ends")

    def handle(self, *args: Any, username: str, reset: bool, **options: Any) -> None:  # noqa: ARG002 - Django's
        user = User.objects.filter(username=username).first()
        if user is None:
            raise CommandError(f"Cannot create the Token: user {username} does not exist")
        token = (renew_token if reset else token_of)(bootstrap.ports(), user, now=timezone.now())
        self.stdout.write(f"Generated token {token} for user {username}")
