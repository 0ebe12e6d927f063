"""Who may do what: one function, asked by services, never by views."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from django.db.models import QuerySet

from foedus.core.errors import Forbidden, NotFound, PlatformError
from foedus.records.accounts.models import Organisation
from foedus.records.learning.models import Membership, Project
from foedus.records.learning.queries import find_active_membership, find_membership, find_memberships, get_project
from foedus.records.market.models import Asset, Purchase
from foedus.records.statistics.models import StatisticsProject

Object = Project | StatisticsProject | Organisation | Membership | Asset | Purchase


class Kind(StrEnum):
    OPERATOR = "operator"
    PARTICIPANT = "participant"
    CUSTOMER = "customer"  # a SymetryML-style account
    PARTY = "party"  # of the market, known by an address
    SYSTEM = "system"  # clock and worker


class Verb(StrEnum):
    READ = "read"  # a project, its rounds and checkpoints
    WORK = "work"  # take tasks, hand in updates and scores
    SCORE = "score"
    INSPECT = "inspect"  # single updates, scores and participants
    CHANGE = "change"
    ADMINISTER = "administer"  # the organisation itself: credentials, audit, new projects


_OF_MEMBERS = frozenset({Verb.READ, Verb.WORK, Verb.SCORE})
_OF_CUSTOMERS = frozenset({Verb.READ, Verb.CHANGE})
_OF_OPERATORS = frozenset(Verb) - {Verb.WORK}
_REFUSALS = {
    Verb.READ: "only its operators and participants see a project",
    Verb.WORK: "only participants of the project take tasks and hand in updates",
    Verb.SCORE: "only operators and participants of the project score its checkpoints",
    Verb.INSPECT: "only operators see single updates, scores and participants",
    Verb.CHANGE: "only operators change projects and who takes part in them",
    Verb.ADMINISTER: "only operators of the organisation make projects, manage credentials and read the audit trail",
}


@dataclass(frozen=True, slots=True)
class Actor:
    """Who is asking. ``id`` is the primary key of the user or the participant."""

    kind: Kind
    id: int
    name: str
    organisation_id: int | None
    superuser: bool = False

    def __str__(self) -> str:
        return f"{self.kind}:{self.name}"


_NOBODYS = 0
SYSTEM = Actor(Kind.SYSTEM, 0, "foedus", None, superuser=True)


def may(actor: Actor, verb: Verb, obj: Object) -> bool:
    """Whether ``actor`` may do ``verb`` to ``obj``; to a membership's project, if that is given, just read."""
    match actor.kind:
        case Kind.SYSTEM:
            return True
        case Kind.OPERATOR:
            return verb in _OF_OPERATORS and (actor.superuser or actor.organisation_id == _organisation_id(obj))
        case Kind.PARTICIPANT:
            return verb in _OF_MEMBERS and _is_member(actor, obj)
        case Kind.CUSTOMER:
            return verb in _OF_CUSTOMERS and isinstance(obj, StatisticsProject) and obj.customer_id == actor.id
        case Kind.PARTY:
            if isinstance(obj, Purchase):
                return _may_with_purchase(actor, verb, obj)
            # Whoever publishes without proof of ownership leaves the asset to everybody.
            return isinstance(obj, Asset) and (verb is Verb.READ or actor.superuser or obj.owner in ("", actor.name))


def _may_with_purchase(actor: Actor, verb: Verb, purchase: Purchase) -> bool:
    """The consumer accepts what was done (CHANGE), the asset's owner answers for the doing (WORK); both read."""
    roles = {Verb.CHANGE: {purchase.consumer}, Verb.WORK: {purchase.asset.owner}}
    either = {purchase.consumer, purchase.asset.owner}
    return actor.superuser or (bool(actor.name) and actor.name in roles.get(verb, either))


def membership_of(actor: Actor, verb: Verb, key: str) -> Membership:
    """The membership by which a participant may do ``verb``, with its project; one question for both.

    Raises as ``require`` does, and NotFound for everybody who is no participant.
    """
    found = find_membership(key, actor.id) if actor.kind is Kind.PARTICIPANT else None
    if found is None:
        project = get_project(key)
        require(actor, verb, project)
        raise NotFound(f"you are not a participant of project {key!r}", project=key)
    require(actor, verb, found)
    return found


def memberships_of(actors: Sequence[Actor], verb: Verb, key: str) -> list[Membership | PlatformError]:
    """``membership_of`` for several actors, in one question; what it would raise is in its actor's place."""
    found = find_memberships(key, [actor.id for actor in actors if actor.kind is Kind.PARTICIPANT])
    return [_membership_or_error(actor, verb, key, found) for actor in actors]


def _membership_or_error(
    actor: Actor, verb: Verb, key: str, found: Mapping[int, Membership]
) -> Membership | PlatformError:
    known = found.get(actor.id) if actor.kind is Kind.PARTICIPANT else None
    try:
        if known is None:
            return membership_of(actor, verb, key)
        require(actor, verb, known)
    except PlatformError as exc:
        return exc
    return known


def require(actor: Actor, verb: Verb, obj: Object) -> None:
    """Return if ``actor`` may; otherwise raise NotFound for what it may not even see, Forbidden for the rest."""
    if may(actor, verb, obj):
        return
    if isinstance(obj, Project) and not may(actor, Verb.READ, obj):
        raise NotFound(f"there is no project {obj.key!r}", project=obj.key)
    if isinstance(obj, StatisticsProject):
        raise NotFound(f"there is no project {obj.name!r}", project=obj.name)
    if isinstance(obj, Purchase):
        if not may(actor, Verb.READ, obj):
            raise NotFound("there is no such agreement, or not for you", agreement=obj.agreement)
        raise Forbidden("only the consumer accepts, and only the asset's owner grants or gives up")
    if isinstance(obj, Asset):
        raise Forbidden(f"only {obj.owner}, its owner, or an administrator changes {obj}")
    raise Forbidden(_REFUSALS[verb], verb=str(verb))


def visible_projects(actor: Actor) -> QuerySet[Project]:
    """The projects for which ``may(actor, READ, project)`` holds."""
    if actor.superuser:
        return Project.objects.all()
    if actor.kind in (Kind.CUSTOMER, Kind.PARTY):
        return Project.objects.none()
    if actor.kind is Kind.PARTICIPANT:
        mine = Membership.objects.filter(participant_id=actor.id, state=Membership.State.ACTIVE)
        return Project.objects.filter(pk__in=mine.values("project_id"))
    own = organisation_of(actor)
    return Project.objects.none() if own is None else Project.objects.filter(organisation=own)


def organisation_of(actor: Actor) -> Organisation | None:
    """Where the actor belongs; None for superusers that were not assigned to any, and for the system."""
    return None if actor.organisation_id is None else Organisation.objects.filter(pk=actor.organisation_id).first()


def is_member(actor: Actor, project: Project) -> bool:
    return find_active_membership(project, actor.id) is not None


def _is_member(actor: Actor, obj: Object) -> bool:
    if isinstance(obj, Membership):
        return obj.participant_id == actor.id and obj.state == Membership.State.ACTIVE
    return isinstance(obj, Project) and is_member(actor, obj)


def _organisation_id(obj: Object) -> Any:
    if isinstance(obj, Asset | Purchase):
        return _NOBODYS  # these belong to addresses, not to organisations
    if isinstance(obj, Membership):
        return obj.project.organisation_id
    if isinstance(obj, StatisticsProject):
        return obj.customer.organisation_id
    return obj.pk if isinstance(obj, Organisation) else obj.organisation_id
