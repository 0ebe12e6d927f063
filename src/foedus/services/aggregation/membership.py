"""Which clients belong to a model."""

from collections.abc import Iterable
from datetime import datetime
from secrets import token_hex
from uuid import UUID, uuid4

from django.db import transaction

from foedus.core.errors import Forbidden, NotFound
from foedus.core.rounds import Phase
from foedus.ports import Ports
from foedus.records.accounts.models import Participant
from foedus.records.aggregation.models import Client, FederatedModel, ModelUpdate
from foedus.records.learning.models import Membership, Project
from foedus.records.learning.queries import lock_project
from foedus.services.aggregation.access import find_client
from foedus.services.aggregation.placing import place_waiting, withdraw
from foedus.services.learning import rounds
from foedus.services.shell import audit
from foedus.services.shell.authorisation import Actor, Kind
from foedus.services.shell.events import emit


def register_client(ports: Ports, pk: int, uuid: UUID | None, *, now: datetime) -> Client:
    """The client, made if no UUID is given, and now a member of the model. Repeating this changes nothing.

    Raises NotFound for an unknown model; Forbidden for an unknown UUID, and where clients cannot join by themselves.
    """
    model = FederatedModel.objects.filter(pk=pk).first() if 0 < pk < 1 << 63 else None
    if model is None:
        raise NotFound("Not found.")
    client = None if uuid is None else find_client(uuid)
    if uuid is not None and client is None:
        raise Forbidden("Invalid UUID")
    if client is not None and client in clients_of(model):
        return client
    if not model.open_registration:
        raise Forbidden("This model takes no clients that its developer did not add.")
    with transaction.atomic():
        project = lock_project(model.project_id)
        client = client or _new_client(project, now)
        _add(ports, project, client, now)
        place_waiting(ports, project, model, now)
        rounds.advance(ports, project, now)
    return client


def clients_of(model: FederatedModel) -> list[Client]:
    """The clients registered now, in the order of joining."""
    return list(
        Client.objects.select_related("participant")
        .filter(
            participant__memberships__project_id=model.project_id,
            participant__memberships__state=Membership.State.ACTIVE,
        )
        .order_by("participant__memberships__joined_at", "participant_id")
    )


def set_clients(ports: Ports, model: FederatedModel, project: Project, wanted: Iterable[Client], now: datetime) -> None:
    """Make these the model's clients. Updates of those who go wait until they come back; the caller holds the lock."""
    present = {client.pk: client for client in clients_of(model)}
    chosen = {client.pk: client for client in wanted}
    for pk, client in chosen.items():
        if pk not in present:
            _add(ports, project, client, now)
    for pk, client in present.items():
        if pk not in chosen:
            _remove(ports, model, project, client, now)
    place_waiting(ports, project, model, now)


def _new_client(project: Project, now: datetime) -> Client:
    """A client; its name is not its UUID, which is all that it proves itself by and not for others to read."""
    participant = Participant.objects.create(
        organisation_id=project.organisation_id, name=f"client-{token_hex(8)}", created_at=now
    )
    return Client.objects.create(uuid=uuid4(), participant=participant)


def _add(ports: Ports, project: Project, client: Client, now: datetime) -> None:
    Membership.objects.update_or_create(
        project=project, participant_id=client.participant_id,
        defaults={"state": Membership.State.ACTIVE, "seen_at": now},
        create_defaults={"state": Membership.State.ACTIVE, "seen_at": now, "joined_at": now},
    )  # fmt: skip
    emit(ports, project, "participant.joined", now, participant=client.participant.name)
    actor = Actor(Kind.PARTICIPANT, client.participant_id, client.participant.name, project.organisation_id)
    audit.record(actor, "enrol", f"project:{project.key}", organisation_id=project.organisation_id, now=now)


def _remove(ports: Ports, model: FederatedModel, project: Project, client: Client, now: datetime) -> None:
    Membership.objects.filter(project=project, participant_id=client.participant_id).update(
        state=Membership.State.REMOVED
    )
    pending = ModelUpdate.objects.filter(
        federated_model=model, client=client, status=ModelUpdate.Status.PENDING, update__isnull=False
    ).exclude(update__round__phase=Phase.COMBINING)
    for row in pending.select_related("update__round"):
        withdraw(row)
        row.save(update_fields=["update"])
    emit(ports, project, "participant.left", now, participant=client.participant.name)
