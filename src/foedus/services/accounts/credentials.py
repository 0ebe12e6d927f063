"""Tokens: made once, shown once, kept as hashes; and who stands behind one."""

import hashlib
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import transaction

from foedus.core.errors import Forbidden, NotFound, Unauthenticated
from foedus.records.accounts.models import Credential, Organisation, Participant, User
from foedus.records.accounts.queries import Owner, find_owners
from foedus.services.shell import audit
from foedus.services.shell.authorisation import Actor, Kind, Verb, organisation_of, require
from foedus.services.shell.pages import Page, Window, page_of

OPERATOR_PREFIX = "fop_"
PARTICIPANT_PREFIX = "fpa_"
ENROLMENT_PREFIX = "fek_"
MAX_TOKEN_CHARACTERS = 256


@dataclass(frozen=True, slots=True)
class Issued:
    """A new credential with its token, which is not kept."""

    id: int
    name: str
    token: str
    expires_at: datetime | None


def new_token(prefix: str) -> str:
    """256 random bits behind a prefix that tells what kind of token it is."""
    return prefix + secrets.token_urlsafe(32)


def hashed(token: str) -> str:
    """What is kept of a token. A plain hash is enough for 256 random bits."""
    return hashlib.sha256(token.encode()).hexdigest()


def authenticate(token: str, *, now: datetime) -> Actor:
    """Who the token belongs to. Raises Unauthenticated, never telling which part was wrong."""
    (found,) = authenticate_all([token], now=now)
    if isinstance(found, Unauthenticated):
        raise found
    return found


def authenticate_all(tokens: Sequence[str], *, now: datetime) -> list[Actor | Unauthenticated]:
    """The same for several tokens, in one question; what would be raised is in its token's place."""
    hashes = [hashed(token) if len(token) <= MAX_TOKEN_CHARACTERS else None for token in tokens]
    owners = find_owners([each for each in hashes if each is not None], now)
    return [_actor_of(owners.get(each)) if each is not None else Unauthenticated() for each in hashes]


def _actor_of(owner: Owner | None) -> Actor | Unauthenticated:
    if owner is None:
        return Unauthenticated("this token is unknown, expired or revoked")
    if owner.participant is not None:
        name, organisation = owner.participant_name, owner.participant_organisation
        return Actor(Kind.PARTICIPANT, owner.participant, name, organisation)
    if not owner.is_active:
        return Unauthenticated("this account is not active")
    return Actor(Kind.OPERATOR, owner.user, owner.username, owner.user_organisation, superuser=owner.is_superuser)


def actor_of_user(user: User) -> Actor:
    """The operator that a person is. Raises Unauthenticated for people who left."""
    if not user.is_active:
        raise Unauthenticated("this account is not active")
    return Actor(Kind.OPERATOR, user.pk, user.get_username(), user.organisation_id, superuser=user.is_superuser)


def create_credential(actor: Actor, name: str, expires_in_s: float | None, *, now: datetime) -> Issued:
    """Another token for the operator that asks."""
    organisation = _own_organisation(actor)
    with transaction.atomic():
        token = new_token(OPERATOR_PREFIX)
        expires_at = None if expires_in_s is None else now + timedelta(seconds=expires_in_s)
        row = Credential.objects.create(
            token_hash=hashed(token), name=name, user_id=actor.id, created_at=now, expires_at=expires_at
        )
        audit.record(actor, "create", f"credential:{row.pk}", organisation_id=organisation.pk, now=now, name=name)
    return Issued(row.pk, name, token, expires_at)


def list_credentials(actor: Actor, window: Window) -> Page[Credential]:
    """The tokens of the operators of one's organisation, without the tokens themselves."""
    rows = Credential.objects.filter(user__organisation=_own_organisation(actor), revoked_at=None)
    return page_of(rows.select_related("user"), window)


def revoke_credential(actor: Actor, pk: int, *, now: datetime) -> None:
    """A token that no longer opens anything; repeating it changes nothing. NotFound for another organisation's."""
    organisation = _own_organisation(actor)
    with transaction.atomic():
        known = Credential.objects.filter(pk=pk, user__organisation=organisation)
        if not known.exists():
            raise NotFound(f"there is no credential {pk}")
        if not known.filter(revoked_at=None).update(revoked_at=now):
            return
        audit.record(actor, "revoke", f"credential:{pk}", organisation_id=organisation.pk, now=now)


def revoke_any_credential(actor: Actor, pk: int, *, now: datetime) -> None:
    """A superuser's way to revoke anybody's token, a participant's included. Raises Forbidden, NotFound."""
    if not actor.superuser:
        raise Forbidden("only superusers revoke the tokens of others")
    with transaction.atomic():
        credential = Credential.objects.select_related("user", "participant").filter(pk=pk).first()
        if credential is None:
            raise NotFound(f"there is no credential {pk}")
        if credential.revoked_at is not None:
            return
        credential.revoked_at = now
        credential.save(update_fields=["revoked_at"])
        owner = credential.user or credential.participant
        audit.record(
            actor, "revoke", f"credential:{pk}", organisation_id=owner.organisation_id if owner else None, now=now
        )


def ensure_first_operator(token: str, *, now: datetime) -> None:
    """Make the organisation ``default`` and its operator ``operator`` with this token, unless they are there."""
    with transaction.atomic():
        organisation, _ = Organisation.objects.get_or_create(name="default", defaults={"created_at": now})
        user, made = User.objects.get_or_create(
            username="operator", defaults={"organisation": organisation, "is_staff": True, "is_superuser": True}
        )
        if made:
            user.set_unusable_password()
            user.save(update_fields=["password"])
        Credential.objects.get_or_create(
            token_hash=hashed(token), defaults={"name": "first start", "user": user, "created_at": now}
        )


def add_participant_token(participant: Participant, token: str, *, now: datetime) -> None:
    """Let ``token`` stand for the participant."""
    Credential.objects.create(token_hash=hashed(token), participant=participant, created_at=now)


def revoke_participant_tokens(actor: Actor, participant: Participant, *, now: datetime) -> None:
    """Nothing opens to the participant any more, which ``actor`` brought about in the caller's transaction."""
    valid = Credential.objects.select_for_update().filter(participant=participant, revoked_at=None)
    for pk in list(valid.order_by("pk").values_list("pk", flat=True)):
        Credential.objects.filter(pk=pk).update(revoked_at=now)
        audit.record(
            actor, "revoke", f"credential:{pk}",
            organisation_id=participant.organisation_id, now=now, participant=participant.pk,
        )  # fmt: skip


def _own_organisation(actor: Actor) -> Organisation:
    organisation = organisation_of(actor)
    if organisation is None:
        raise NotFound("you belong to no organisation; ask a superuser to assign you to one")
    require(actor, Verb.ADMINISTER, organisation)
    return organisation
