"""Where an update that can be averaged goes: into the model's open round, or to wait for the next one."""

from datetime import datetime

from foedus.core.errors import Late, Unavailable
from foedus.core.rounds import Phase
from foedus.ports import Ports
from foedus.records.aggregation.models import FederatedModel, ModelUpdate
from foedus.records.learning.models import Checkpoint, Membership, Project, Update
from foedus.records.learning.queries import find_open_round
from foedus.services.learning.updates import Stored, admit_update
from foedus.services.shell.events import emit

BUSY = "a new aggregate is just being made; try again in a moment"


def place(ports: Ports, project: Project, row: ModelUpdate, now: datetime) -> None:
    """Count a pending update in the open round. The caller holds the project's lock.

    It goes on waiting while the round is being combined and while its client is not registered, and is set aside when
    it does not fit (any more).
    """
    current = find_open_round(project)
    membership = find_membership(project, row)
    if membership is None or (current is not None and current.state is Phase.COMBINING):
        return
    layout = project.model_layout
    if layout is None or row.fingerprint != layout.fingerprint or row.form != row.federated_model.form:
        set_aside(ports, project, row, "the model has other arrays by now", now)
        return
    try:
        row.update = admit_update(
            ports, project, membership, _base(project, row), Stored(row.tensors, row.digest, row.size_bytes),
            examples=row.examples, metrics=row.metrics, now=now,
        )  # fmt: skip
    except Late as exc:
        set_aside(ports, project, row, exc.message, now)
        return
    row.save(update_fields=["update"])


def place_waiting(ports: Ports, project: Project, model: FederatedModel, now: datetime) -> None:
    """Place all that wait, oldest first."""
    waiting = ModelUpdate.objects.filter(federated_model=model, status=ModelUpdate.Status.PENDING, update=None)
    for row in waiting.select_related("client", "federated_model", "base_aggregate__checkpoint").order_by("pk"):
        place(ports, project, row, now)


def withdraw(row: ModelUpdate) -> None:
    """Take an update out of its round. Raises Unavailable while that is being combined."""
    if row.update is None:
        return
    if row.update.round.state is Phase.COMBINING:
        raise Unavailable(BUSY, retry_after_s=0.5)
    Update.objects.filter(pk=row.update.pk).delete()
    row.update = None


def set_aside(ports: Ports, project: Project, row: ModelUpdate, reason: str, now: datetime) -> None:
    """Keep an update that cannot be averaged, with the reason; it holds nobody up."""
    row.status = ModelUpdate.Status.INVALID
    row.reason = reason[:500]
    row.save(update_fields=["status", "reason", "update"])
    emit(
        ports,
        project,
        "update.set_aside",
        now,
        update=row.pk,
        participant=row.client.participant.name,
        reason=row.reason,
    )


def set_aside_stale(ports: Ports, project: Project, model: FederatedModel, now: datetime) -> None:
    """Set aside what a new aggregate made too old, where the model has a bound."""
    bound = model.furthest_base_agg
    latest = Checkpoint.objects.filter(project=project).order_by("-number").values_list("number", flat=True).first()
    if bound is None or latest is None:
        return
    placed = ModelUpdate.objects.filter(
        federated_model=model, status=ModelUpdate.Status.PENDING, update__base__number__lt=latest - bound
    ).exclude(update__round__phase=Phase.COMBINING)
    for row in placed.select_related("update__round"):
        withdraw(row)
        set_aside(ports, project, row, f"its base is more than {bound} aggregates old", now)


def find_membership(project: Project, row: ModelUpdate) -> Membership | None:
    return (
        Membership.objects.select_related("participant")
        .filter(project=project, participant_id=row.client.participant_id, state=Membership.State.ACTIVE)
        .first()
    )


def _base(project: Project, row: ModelUpdate) -> Checkpoint:
    if row.base_aggregate is not None:
        return row.base_aggregate.checkpoint
    return Checkpoint.objects.get(project=project, number=0)
