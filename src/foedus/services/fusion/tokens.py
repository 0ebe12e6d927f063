"""Tokens for fusion projects of others: keys that read the statistics of one project, and do nothing else."""

import secrets
from datetime import datetime, timedelta

from foedus.core.errors import Conflict, Invalid
from foedus.ports import Ports
from foedus.ports.secrets import Secret
from foedus.records.fusion.models import CellToken
from foedus.records.statistics.models import StatisticsProject
from foedus.services.customers.accounts import MAX_SECONDS, new_secret
from foedus.services.customers.keys import Key
from foedus.services.fusion.errors import TokenMissing
from foedus.services.shell import audit
from foedus.services.shell.authorisation import Actor, Verb, require
from foedus.services.shell.sealing import seal, unseal

PURPOSE = "cell tokens"
MAX_TOKENS = 100  # of one project
MAX_LABEL = 200


def make_token(
    ports: Ports, actor: Actor, project: StatisticsProject, *, label: str, expires_in_s: float | None, now: datetime
) -> tuple[CellToken, Secret]:
    """A token, and its secret, which is shown this once. Raises Invalid, Conflict."""
    require(actor, Verb.CHANGE, project)
    if len(label) > MAX_LABEL or not label.isprintable():
        raise Invalid(f"a token's name has at most {MAX_LABEL} printable characters")
    if expires_in_s is not None and not 0 < expires_in_s <= MAX_SECONDS:
        raise Invalid(f"a token's time is more than 0 and at most {MAX_SECONDS} seconds")
    if CellToken.objects.filter(project=project).count() >= MAX_TOKENS:
        raise Conflict(f"a project has at most {MAX_TOKENS} tokens; revoke those that nobody uses")
    secret = new_secret()
    row = CellToken.objects.create(
        project=project, kid=f"cell-{secrets.token_hex(8)}", label=label, created_at=now,
        sealed=seal(ports, secret.encode(), purpose=PURPOSE, about=project.key),
        expires_at=None if expires_in_s is None else now + timedelta(seconds=expires_in_s),
    )  # fmt: skip
    _note(actor, "create", project, row.kid, now)
    return row, Secret(secret)


def list_tokens(project: StatisticsProject) -> list[CellToken]:
    """A project's tokens, the newest first; not their secrets."""
    return list(CellToken.objects.filter(project=project).defer("sealed").order_by("-pk"))


def revoke_token(actor: Actor, project: StatisticsProject, kid: str, *, now: datetime) -> None:
    """Raises TokenMissing."""
    require(actor, Verb.CHANGE, project)
    gone, _ = CellToken.objects.filter(project=project, kid=kid).delete()
    if not gone:
        raise TokenMissing(f"the project has no token {kid[:40]!r}")
    _note(actor, "revoke", project, kid, now)


def valid_tokens(ports: Ports, cid: str, name: str, now: datetime) -> list[Key]:
    """The keys that read this project, but for its customer's own."""
    rows = CellToken.objects.select_related("project").filter(project__customer__cid=cid, project__name=name)
    return [
        Key(row.kid, Secret(unseal(ports, bytes(row.sealed), purpose=PURPOSE, about=row.project.key).decode()))
        for row in rows
        if row.expires_at is None or row.expires_at > now
    ]


def _note(actor: Actor, verb: str, project: StatisticsProject, kid: str, now: datetime) -> None:
    audit.record(
        actor, verb, f"cell-token:{project.customer.cid}/{project.name}"[:300],
        organisation_id=project.customer.organisation_id, now=now, kid=kid,
    )  # fmt: skip
