"""A phone's way through a round: it joins, uploads its model, and says how the training went."""

from collections.abc import Mapping
from contextlib import suppress
from datetime import datetime
from uuid import uuid4

from django.db import transaction

from foedus.core.errors import Forbidden, Invalid, Late, NotFound, Replayed
from foedus.core.fleet.modes import TrainingMode
from foedus.core.fleet.performance import read_performance
from foedus.core.rounds import Phase
from foedus.ports import Ports
from foedus.records.fleet.models import Device, JoinedRound, Submission, TrainingResult
from foedus.records.fleet.queries import find_invitation, get_assignment, get_fleet_round, round_number
from foedus.records.learning.counting import forget_tally
from foedus.records.learning.models import Invitation, Membership, Round, Update
from foedus.records.learning.queries import lock_project
from foedus.services.fleet.models import as_safetensors, layout_of_model
from foedus.services.fleet.seeds import seed_of
from foedus.services.learning.equipment import needs_under
from foedus.services.learning.models_in import check_whole, store
from foedus.services.shell.staging import Staged


def join_round(device: Device, pk: int, number: int, status: int, *, now: datetime) -> Round:
    """Note how far the device is with a round. Joining again only changes that, and its time.

    Raises NotFound, Forbidden without an invitation, Invalid for a status that is none; Late for whoever begins with
    a round that is over. Whoever is on the way may still say where it found that out.
    """
    if status not in JoinedRound.Status.values:
        raise Invalid("status is 1 to 6", field="status")
    membership = get_assignment(device, pk)
    current = get_fleet_round(membership.project, number)
    invitation = _invitation(membership, current)
    if status == JoinedRound.Status.JOIN and current.state is not Phase.COLLECTING:
        raise Late(f"round {number} is over", round=number)
    Membership.objects.filter(pk=membership.pk).update(seen_at=now)
    if invitation.state == Invitation.State.LOST:
        _find_again(invitation)
    JoinedRound.objects.update_or_create(
        device=device,
        round=current,
        defaults={"status": status, "date_last_state": now},
        create_defaults={"status": status, "date_joined": now, "date_last_state": now},
    )
    current.project = membership.project
    current.settings = {**current.settings, "seed": seed_of(current)}
    return current


def expect_model(device: Device, pk: int, number: int) -> int:
    """Look before the body is read: how many bytes a model has. Raises what ``submit_model`` would without it."""
    membership = get_assignment(device, pk)
    current = get_fleet_round(membership.project, number)
    _invitation(membership, current)
    if current.state is not Phase.COLLECTING and not Submission.objects.filter(device=device, round=current).exists():
        raise Late(f"round {number} is over", round=number)
    return layout_of_model(membership.project.fleet.model).nbytes


def submit_model(ports: Ports, device: Device, pk: int, number: int, body: Staged, *, now: datetime) -> Submission:
    """Keep a device's model for a round, in place of an earlier one, until its report makes it count.

    Handing in the same again changes nothing, at any time. Raises NotFound, Forbidden, Invalid (length, NaN, a step
    too large for the project's strategy), Late (the round is over) and Replayed (another model than the one that
    counts).
    """
    membership = get_assignment(device, pk)
    fleet = membership.project.fleet
    current = get_fleet_round(membership.project, number)
    layout = layout_of_model(fleet.model)
    with as_safetensors(ports.scratch, body.path, layout, max_norm=fleet.max_model_norm) as model:
        check_whole(ports, model, needs_under(current.strategy), current.base)
        size_bytes = model.size_bytes
        blob = store(ports, f"projects/{pk}/submissions", model)
    try:
        with transaction.atomic():
            submission = _keep(ports, device, pk, number, body.digest, size_bytes, blob, now)
    except BaseException:
        _forget(ports, blob)
        raise
    if submission.blob != blob:
        _forget(ports, blob)
    return submission


def _keep(
    ports: Ports, device: Device, pk: int, number: int, digest: str, size_bytes: int, blob: str, now: datetime
) -> Submission:
    project = lock_project(pk)
    membership = get_assignment(device, pk)
    current = get_fleet_round(project, number)
    _invitation(membership, current)
    known = Submission.objects.filter(device=device, round=current).first()
    if known is not None and known.digest == digest:
        return known
    if current.state is not Phase.COLLECTING:
        raise Late(f"round {number} is over", round=number)
    if Update.objects.filter(membership=membership, task_round=current.number).exists():
        raise Replayed(f"your model of round {number} counts already; it stays as it was", round=number)
    Membership.objects.filter(pk=membership.pk).update(seen_at=now)
    if known is None:
        known = Submission(device=device, round=current)
    else:
        replaced = known.blob
        transaction.on_commit(lambda: _forget(ports, replaced))
    known.digest, known.size_bytes, known.blob, known.submitted_at = digest, size_bytes, blob, now
    known.save()
    return known


def submit_results(ports: Ports, device: Device, pk: int, number: int, body: bytes, *, now: datetime) -> TrainingResult:
    """Keep a device's ``performance.json`` of a round, also after the round; a later one takes its place.

    Raises NotFound, Forbidden, Invalid, TooLarge.
    """
    membership = get_assignment(device, pk)
    current = get_fleet_round(membership.project, number)
    _invitation(membership, current)
    performance = read_performance(body, TrainingMode(membership.project.fleet.training_mode))
    blob = f"projects/{pk}/results/{current.number}-{device.pk}-{uuid4().hex[:8]}"
    ports.blobs.put(blob, body)
    try:
        return _keep_results(ports, device, pk, current, blob, performance.loss, performance.metrics, now)
    except BaseException:
        _forget(ports, blob)
        raise


def _keep_results(
    ports: Ports, device: Device, pk: int, current: Round, blob: str, loss: float | None,
    metrics: Mapping[str, float], now: datetime,
) -> TrainingResult:  # fmt: skip
    with transaction.atomic():
        lock_project(pk)
        known = TrainingResult.objects.filter(device=device, round=current).first()
        if known is None:
            known = TrainingResult(device=device, round=current)
        else:
            replaced = known.blob
            transaction.on_commit(lambda: _forget(ports, replaced))
        known.blob, known.loss, known.metrics, known.submitted_at = blob, loss, dict(metrics), now
        known.save()
        return known


def _invitation(membership: Membership, current: Round) -> Invitation:
    found = find_invitation(membership, current)
    if found is None:
        raise Forbidden(f"you were not invited to round {round_number(current)}", round=round_number(current))
    return found


def _find_again(invitation: Invitation) -> None:
    """Wait again for a device that had been given up as absent: it shows that it has the invitation."""
    with transaction.atomic():
        project = lock_project(invitation.membership.project_id)
        Invitation.objects.filter(
            pk=invitation.pk, state=Invitation.State.LOST, round__project=project, round__phase=Phase.COLLECTING
        ).update(state=Invitation.State.OPEN, closed_at=None)
        forget_tally(project)


def _forget(ports: Ports, blob: str) -> None:
    if blob:
        with suppress(NotFound):
            ports.blobs.delete(blob)
