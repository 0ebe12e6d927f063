"""How participants get in: a one-time key for a token."""

import hashlib
import hmac
import re
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import transaction

from foedus.core.errors import Forbidden, Invalid, Unauthenticated
from foedus.ports import Ports
from foedus.records.accounts.models import Credential, Participant
from foedus.records.learning.models import EnrolmentKey, Membership, Project
from foedus.records.learning.queries import get_project, lock_project
from foedus.services.accounts import credentials
from foedus.services.learning.rounds import advance
from foedus.services.shell import audit
from foedus.services.shell.authorisation import Actor, Kind, Verb, require
from foedus.services.shell.events import emit

MAX_KEYS = 10_000
MAX_NAME_CHARACTERS = 255
_SECRET = re.compile(r"[A-Za-z0-9_-]{43,200}")


@dataclass(frozen=True, slots=True, kw_only=True)
class MakeKeys:
    name: str = ""
    count: int = 1
    expires_in_s: float = 7 * 86400.0


@dataclass(frozen=True, slots=True)
class NewKey:
    """An enrolment key, shown this once."""

    key: str
    name: str
    expires_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Enrol:
    """``secret`` is the client's own: who repeats a call with it gets the same answer again."""

    key: str
    name: str = ""
    secret: str = ""


@dataclass(frozen=True, slots=True)
class Enrolled:
    participant: Participant
    project: Project
    token: str
    repeated: bool


def make_enrolment_keys(actor: Actor, key: str, command: MakeKeys, *, now: datetime) -> list[NewKey]:
    """New one-time keys for a project. Raises Invalid."""
    project = get_project(key)
    require(actor, Verb.CHANGE, project)
    if not 1 <= command.count <= MAX_KEYS:
        raise Invalid(f"count is 1 to {MAX_KEYS}", field="count")
    names = (
        [command.name]
        if command.count == 1
        else [f"{command.name or 'participant'}-{i + 1}" for i in range(command.count)]
    )
    expires_at = now + timedelta(seconds=command.expires_in_s)
    made = [NewKey(credentials.new_token(credentials.ENROLMENT_PREFIX), _name(name), expires_at) for name in names]
    with transaction.atomic():
        EnrolmentKey.objects.bulk_create(
            EnrolmentKey(
                project=project,
                key_hash=credentials.hashed(new.key),
                name=new.name,
                created_at=now,
                expires_at=expires_at,
            )
            for new in made
        )
        audit.record(
            actor, "create", f"enrolment-keys:{key}",
            organisation_id=project.organisation_id, now=now, count=command.count,
        )  # fmt: skip
    return made


def enrol(ports: Ports, actor: Actor | None, command: Enrol, *, now: datetime) -> Enrolled:
    """Spend a key: a new participant with its token, or one more project for a participant known already.

    Raises Unauthenticated for unknown and expired keys, Forbidden for spent ones.
    """
    if command.secret and not _SECRET.fullmatch(command.secret):
        raise Invalid("secret is 43 to 200 URL-safe characters", field="secret")
    found = EnrolmentKey.objects.filter(key_hash=credentials.hashed(command.key)).only("pk", "project_id").first()
    if found is None:
        raise Unauthenticated("this enrolment key is unknown; it begins with fek_, and the operator makes it")
    with transaction.atomic():
        project = lock_project(found.project_id)
        key = EnrolmentKey.objects.select_for_update(of=("self",)).select_related("used_by").get(pk=found.pk)
        if key.used_at is not None:
            return _repeated(key, project, command)
        if key.expires_at <= now:
            raise Unauthenticated("this enrolment key has expired; ask the operator for another")
        joining = _known(actor) or _new_participant(
            project, _name(command.name or key.name) or f"participant-{key.pk}", now
        )
        token = _token(command)
        if actor is None:
            credentials.add_participant_token(joining, token, now=now)
        key.used_at, key.used_by = now, joining
        key.secret_hash = credentials.hashed(command.secret) if command.secret else ""
        key.save(update_fields=["used_at", "used_by", "secret_hash"])
        Membership.objects.update_or_create(
            project=project, participant=joining, defaults={"state": Membership.State.ACTIVE},
            create_defaults={"state": Membership.State.ACTIVE, "joined_at": now},
        )  # fmt: skip
        emit(ports, project, "participant.joined", now, participant=joining.name, participant_id=joining.pk)
        audit.record(
            Actor(Kind.PARTICIPANT, joining.pk, joining.name, joining.organisation_id),
            "enrol", f"project:{project.key}", organisation_id=project.organisation_id, now=now,
        )  # fmt: skip
        advance(ports, project, now)
    return Enrolled(joining, project, token if actor is None else "", repeated=False)


def _repeated(key: EnrolmentKey, project: Project, command: Enrol) -> Enrolled:
    same = command.secret and hmac.compare_digest(key.secret_hash, credentials.hashed(command.secret))
    if not same or key.used_by is None:
        raise Forbidden("this enrolment key was used already; each participant needs one of its own")
    if not Membership.objects.filter(project=project, participant=key.used_by, state=Membership.State.ACTIVE).exists():
        raise Forbidden("whoever used this enrolment key has left or was removed; ask the operator for another key")
    token = _token(command)
    if not Credential.objects.filter(token_hash=credentials.hashed(token), revoked_at=None).exists():
        token = ""
    return Enrolled(key.used_by, project, token, repeated=True)


def _token(command: Enrol) -> str:
    """The participant's token: random, or derived from the client's secret so that a repetition gives it again."""
    if not command.secret:
        return credentials.new_token(credentials.PARTICIPANT_PREFIX)
    mac = hmac.new(command.secret.encode(), f"foedus participant {command.key}".encode(), hashlib.sha256)
    return credentials.PARTICIPANT_PREFIX + mac.hexdigest()


def _known(actor: Actor | None) -> Participant | None:
    if actor is None:
        return None
    if actor.kind is not Kind.PARTICIPANT:
        raise Forbidden("operators do not enrol; call without a token, or with a participant's")
    return Participant.objects.get(pk=actor.id)


def _new_participant(project: Project, name: str, now: datetime) -> Participant:
    """A participant of the project's organisation; a name that is taken gets a number."""
    taken = Participant.objects.filter(organisation_id=project.organisation_id)
    free, number = name, 1
    while taken.filter(name=free).exists():
        number += 1
        free = f"{name[:240]}-{number}"
    return Participant.objects.create(organisation_id=project.organisation_id, name=free, created_at=now)


def _name(name: str) -> str:
    if len(name) > MAX_NAME_CHARACTERS or not (name.isprintable() or not name):
        raise Invalid(f"a name is at most {MAX_NAME_CHARACTERS} printable characters", field="name")
    return name.strip()
