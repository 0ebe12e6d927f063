"""Who may do what with federated models: one table, asked by every use case.

A developer has what belongs to models that are its own, staff of an organisation what belongs to that, superusers and
staff of no organisation have everything, a client what belongs to itself and to the models that it is registered to.
What somebody may not see does not exist for them.
"""

from dataclasses import dataclass
from typing import TypeVar
from uuid import UUID

from django.db.models import Model, Q, QuerySet

from foedus.core.errors import Forbidden, NotFound, Unauthenticated
from foedus.records.accounts.models import User
from foedus.records.aggregation.models import (
    Client,
    ClientAggregateScore,
    FederatedModel,
    ModelAggregate,
    ModelArtifact,
    ModelUpdate,
)
from foedus.records.learning.models import Membership
from foedus.services.accounts.credentials import actor_of_user
from foedus.services.shell.authorisation import Actor, Kind

M = TypeVar("M", bound=Model)


@dataclass(frozen=True, slots=True)
class Caller:
    """Who is asking: a user, a client, or nobody known."""

    user: User | None = None
    client: Client | None = None

    @property
    def actor(self) -> Actor:
        """The caller as the shell knows it. Raises Unauthenticated for nobody."""
        if self.user is not None:
            return actor_of_user(self.user)
        if self.client is not None:
            participant = self.client.participant
            return Actor(Kind.PARTICIPANT, participant.pk, participant.name, participant.organisation_id)
        raise Unauthenticated


ANYBODY = Caller()


def require_known(caller: Caller) -> None:
    """Raise Unauthenticated unless somebody proved who it is."""
    if caller.user is None and caller.client is None:
        raise Unauthenticated


def require_user(caller: Caller) -> User:
    """Raise Forbidden for clients, Unauthenticated for nobody."""
    require_known(caller)
    if caller.user is None:
        raise Forbidden
    return caller.user


def reach(user: User, path: str = "") -> Q:
    """Models that a user may change; ``path`` leads to them from other rows, and ends in two underscores."""
    if looks_after_all(user):
        return Q()
    theirs = Q(**{f"{path}developer": user})
    return theirs | Q(**{f"{path}project__organisation": user.organisation_id}) if user.is_staff else theirs


def looks_after_all(user: User) -> bool:
    """Superusers do, and staff that belongs to no organisation."""
    return user.is_superuser or (user.is_staff and user.organisation_id is None)


def may_name(user: User, developer: User) -> bool:
    """Whether the user may give a model to that developer."""
    if user == developer or looks_after_all(user):
        return True
    return user.is_staff and user.organisation_id == developer.organisation_id


def owned_models(caller: Caller) -> QuerySet[FederatedModel]:
    """The models that the caller may change."""
    user = require_user(caller)
    return FederatedModel.objects.select_related("project", "developer").filter(reach(user))


def require_own(caller: Caller, model: FederatedModel) -> User:
    """The user. Raises Unauthenticated, and Forbidden unless the model is one that the caller may change."""
    user = require_user(caller)
    if not owned_models(caller).filter(pk=model.pk).exists():
        raise Forbidden
    return user


def readable_models(caller: Caller) -> QuerySet[FederatedModel]:
    """The models whose aggregates the caller may read."""
    require_known(caller)
    if caller.client is None:
        return owned_models(caller)
    return FederatedModel.objects.filter(project_id__in=_projects_of(caller.client)).select_related("project")


def get_owned_model(caller: Caller, pk: int) -> FederatedModel:
    """Raises Unauthenticated, Forbidden for clients, NotFound."""
    return found(owned_models(caller), pk)


def get_readable_model(caller: Caller, pk: int) -> FederatedModel:
    """Raises Unauthenticated, NotFound; Forbidden for clients that are not registered."""
    require_known(caller)
    if caller.client is None:
        return get_owned_model(caller, pk)
    model = found(FederatedModel.objects.select_related("project"), pk)
    require_registered(caller.client, model)
    return model


def require_registered(client: Client, model: FederatedModel) -> Membership:
    """The client's membership. Raises Forbidden when it has none, or none any more."""
    membership = (
        Membership.objects.select_related("participant")
        .filter(project_id=model.project_id, participant_id=client.participant_id, state=Membership.State.ACTIVE)
        .first()
    )
    if membership is None:
        raise Forbidden
    return membership


def readable_aggregates(caller: Caller) -> QuerySet[ModelAggregate]:
    rows = ModelAggregate.objects.select_related("checkpoint", "federated_model")
    return rows.filter(federated_model__in=readable_models(caller))


def readable_artifacts(caller: Caller) -> QuerySet[ModelArtifact]:
    rows = ModelArtifact.objects.select_related("artifact__checkpoint", "federated_model")
    return rows.filter(federated_model__in=readable_models(caller))


def readable_updates(caller: Caller) -> QuerySet[ModelUpdate]:
    require_known(caller)
    rows = ModelUpdate.objects.select_related("federated_model", "update__round")
    if caller.client is not None:
        return rows.filter(client=caller.client)
    return rows.filter(reach(require_user(caller), "federated_model__"))


def readable_scores(caller: Caller) -> QuerySet[ClientAggregateScore]:
    require_known(caller)
    rows = ClientAggregateScore.objects.select_related("aggregate")
    if caller.client is not None:
        return rows.filter(client=caller.client)
    return rows.filter(reach(require_user(caller), "aggregate__federated_model__"))


def owned(caller: Caller, rows: QuerySet[M], pk: int) -> M:
    """One of the readable ``rows``, for those who may change it. Raises Forbidden for clients, NotFound."""
    require_user(caller)
    return found(rows, pk)


def found(rows: QuerySet[M], pk: int) -> M:
    """Raises NotFound."""
    row = rows.filter(pk=pk).first() if 0 < pk < 1 << 63 else None
    if row is None:
        raise NotFound("Not found.")
    return row


def find_client(uuid: UUID) -> Client | None:
    return Client.objects.select_related("participant").filter(pk=uuid).first()


def _projects_of(client: Client) -> QuerySet[Membership, int]:
    return Membership.objects.filter(participant_id=client.participant_id, state=Membership.State.ACTIVE).values_list(
        "project_id", flat=True
    )
