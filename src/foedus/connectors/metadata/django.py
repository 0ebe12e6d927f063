"""Metadata in foedus' own database, the one that the API writes.

A claim is the lease on the job that combines the model's open round, and the round holds the claimed updates and no
others. So the service's own workers and a run through this port exclude each other; and what a run leaves when it
dies, the next one takes up, or a worker.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Self
from uuid import uuid4

from django.core.management import call_command
from django.db import transaction
from django.db.models import Q

from foedus.core.errors import Invalid, NoUpdates
from foedus.core.rounds import Phase, Reason
from foedus.ports import Ports
from foedus.ports.metadata import Claim, ClaimLost, FederatedModel, ModelMissing, ModelUpdate, NotClaimable
from foedus.records.aggregation import models as rows
from foedus.records.learning.models import Checkpoint, Project, Round
from foedus.records.learning.queries import find_latest_checkpoint, find_open_round, lock_project
from foedus.records.shell.models import Job
from foedus.services.aggregation import placing
from foedus.services.aggregation.incoming import as_tensors, json_bytes_in
from foedus.services.aggregation.layouts import mismatch
from foedus.services.aggregation.membership import clients_of
from foedus.services.aggregation.tree import latest_aggregate
from foedus.services.learning.rounds import COMBINE_JOB, advance, close_complete, close_invalid
from foedus.services.shell.jobs import LONG_LEASE, enqueue
from foedus.services.shell.staging import Staged

PENDING = rows.ModelUpdate.Status.PENDING


class DjangoMetadata:
    def __init__(self, ports: Ports) -> None:
        self._ports = ports

    @classmethod
    def from_settings(cls, options: Mapping[str, Any], ports: Ports) -> Self:
        if options:
            raise Invalid(f"DjangoMetadataConnector has no options, found {', '.join(map(repr, options))}")
        return cls(ports)

    def get_model(self, model: int) -> FederatedModel:
        row = _model(model)
        arguments = row.requirement_args
        return FederatedModel(
            id=row.pk,
            aggregator=row.aggregator,
            requirement=row.requirement,
            arguments=tuple(arguments) if isinstance(arguments, list) else (),
            furthest_base=row.furthest_base_agg,
            clients=frozenset(str(client.pk) for client in clients_of(row)),
            active=row.allow_aggregation,
        )

    def waiting(self, model: int, *, now: datetime) -> Sequence[ModelUpdate]:
        row = _model(model)
        line = _line(row)
        return [_seen(update, line) for update in _waiting(row, now)]

    def claim(self, model: int, updates: Sequence[int], *, now: datetime, lease: timedelta) -> Claim:
        found = _model(model)
        with transaction.atomic():
            project = lock_project(found.project_id)
            ready = {update.pk: update for update in _waiting(found, now)}
            wanted = [ready[pk] for pk in dict.fromkeys(updates) if pk in ready]
            if not wanted or len(wanted) < len(set(updates)):
                raise NotClaimable(model=model)
            current = find_open_round(project)
            run = (LONG_LEASE + uuid4().hex)[:32]
            if current is not None and current.state is Phase.COMBINING and not _lease(current, run, now, lease):
                raise NotClaimable(model=model)
            current = self._fill(project, current, wanted, now)
            if not _lease(current, run, now, lease, mine=run):
                raise NotClaimable(model=model)
            line = _line(found)
            return Claim(
                model=model,
                run=run,
                updates=tuple(_seen(update, line) for update in wanted),
                parent=line[0] if line else None,
                until=now + lease,
            )

    def renew(self, claim: Claim, *, now: datetime, lease: timedelta) -> Claim:
        if not _held(claim, now).update(lease_until=now + lease):
            raise ClaimLost(model=claim.model)
        return Claim(model=claim.model, run=claim.run, updates=claim.updates, parent=claim.parent, until=now + lease)

    def reject(self, claim: Claim, update: int, reason: str, *, now: datetime) -> None:
        with transaction.atomic():
            project, current = self._opened(claim, now)
            row = rows.ModelUpdate.objects.select_related("update").filter(pk=update, update__round=current).first()
            if row is None or row.update is None:
                raise ClaimLost("This update is not part of the claim.", model=claim.model, update=update)
            _take_out([row])
            placing.set_aside(self._ports, project, row, reason, now)

    def finish(self, claim: Claim, data: str, *, now: datetime) -> int:
        made = _made_by(claim)
        if made is not None:
            return made
        model = _model(claim.model)
        if not _held(claim, now).exists():
            raise ClaimLost(model=claim.model)
        with json_bytes_in(self._ports, self._ports.blobs.read(data)) as weights:
            if obstacle := mismatch(model, model.project, weights):
                raise Invalid(f"this cannot be the model's next aggregate: {obstacle}", model=claim.model)
            with as_tensors(self._ports, weights, model.project.model_layout) as body:
                return self._switch(claim, body, now)

    def release(self, claim: Claim, reason: str, *, now: datetime) -> None:
        with transaction.atomic():
            held = Job.objects.filter(kind=COMBINE_JOB, lease_token=claim.run).first()
            if held is None:
                return
            project = lock_project(held.payload["project"])
            current = Round.objects.get(pk=held.payload["round"])
            mine = rows.ModelUpdate.objects.filter(update__round=current)
            mine.update(reason=reason[:500])
            if mine.exists():
                Job.objects.filter(pk=held.pk).update(
                    state=Job.State.QUEUED, run_at=now, lease_until=None, lease_token=""
                )
                return
            held.delete()
            close_invalid(self._ports, project, current, Reason("nothing_left", reason), now)
            advance(self._ports, project, now)

    def migrate(self) -> None:
        call_command("migrate", verbosity=0, interactive=False)

    def _fill(
        self, project: Project, current: Round | None, wanted: Iterable[rows.ModelUpdate], now: datetime
    ) -> Round:
        """Let the open round hold what is wanted, and combine it."""
        chosen = {update.pk for update in wanted}
        if current is not None:
            Round.objects.filter(pk=current.pk).update(phase=Phase.COLLECTING)  # until it holds what it should
            others = rows.ModelUpdate.objects.filter(update__round=current).exclude(pk__in=chosen)
            _take_out(list(others.select_related("update")))
        for update in wanted:
            update.refresh_from_db()
            if update.update_id is None:
                placing.place(self._ports, project, update, now)
            if update.update_id is None:
                raise NotClaimable(f"Update {update.pk} cannot take part now: {update.reason or 'its client left'}.")
        found = find_open_round(project)
        assert found is not None, "it was opened for the first update at the latest"  # noqa: S101
        Round.objects.filter(pk=found.pk).update(phase=Phase.COMBINING)
        key = f"{project.pk}/{found.number}"
        enqueue(self._ports, COMBINE_JOB, key, now, project=project.pk, round=found.pk)
        return found

    def _opened(self, claim: Claim, now: datetime) -> tuple[Project, Round]:
        """The claim's project, locked, and its round. Raises ClaimLost."""
        job = _held(claim, now).first()
        if job is None:
            raise ClaimLost(model=claim.model)
        project = lock_project(job.payload["project"])
        if not _held(claim, now).exists():
            raise ClaimLost(model=claim.model)
        return project, Round.objects.select_related("base").get(pk=job.payload["round"])

    def _switch(self, claim: Claim, body: Staged, now: datetime) -> int:
        """Make the body the round's checkpoint and go on, as the engine does. Its key tells which run made it."""
        with transaction.atomic():
            project, current = self._opened(claim, now)
            if not current.updates.exists():
                raise NoUpdates("Every update of this claim was rejected.", model=claim.model)
            blob = f"projects/{project.pk}/checkpoints/{body.digest}-{claim.run}"
            self._ports.blobs.put_file(blob, body.path)
            latest = find_latest_checkpoint(project)
            assert latest is not None, "rounds have a base"  # noqa: S101
            checkpoint = Checkpoint.objects.create(
                project=project, number=latest.number + 1, round_number=current.number, digest=body.digest,
                size_bytes=body.size_bytes, blob=blob, created_at=now,
            )  # fmt: skip
            _held(claim, now).delete()
            rows.ModelUpdate.objects.filter(update__round=current).update(reason="")
            close_complete(self._ports, project, current, checkpoint, now)
        made = _made_by(claim)
        assert made is not None, "closing a round makes an aggregate of its checkpoint"  # noqa: S101
        return made


def _model(pk: int) -> rows.FederatedModel:
    row = rows.FederatedModel.objects.select_related("project").filter(pk=pk).first() if 0 < pk < 1 << 63 else None
    if row is None:
        raise ModelMissing(model=pk)
    return row


def _waiting(model: rows.FederatedModel, now: datetime) -> list[rows.ModelUpdate]:
    held = Job.objects.filter(
        kind=COMBINE_JOB, state=Job.State.RUNNING, lease_until__gt=now, payload__project=model.project_id
    ).values_list("payload__round", flat=True)
    pending = rows.ModelUpdate.objects.filter(federated_model=model, status=PENDING).exclude(tensors="")
    found = pending.filter(Q(update=None) | ~Q(update__round__in=[int(pk) for pk in held]))
    related = found.select_related("client", "federated_model", "base_aggregate__checkpoint", "update__round")
    return list(related.order_by("created_on", "pk"))


def _line(model: rows.FederatedModel) -> list[int]:
    """The newest aggregate, the one that it stands below, and so on."""
    above = dict(rows.ModelAggregate.objects.filter(federated_model=model).values_list("pk", "parent_id"))
    newest = latest_aggregate(model)
    line: list[int] = []
    at = newest.pk if newest else None
    while at is not None:
        line.append(at)
        at = above.get(at)
    return line


def _seen(row: rows.ModelUpdate, line: list[int]) -> ModelUpdate:
    base = row.base_aggregate_id
    staleness = 0 if not line else line.index(base) if base in line else None
    return ModelUpdate(id=row.pk, client=str(row.client_id), data=row.document, staleness=staleness)


def _take_out(found: Iterable[rows.ModelUpdate]) -> None:
    for row in found:
        if row.update is not None:
            row.update.delete()
        row.update = None
        row.save(update_fields=["update"])


def _lease(current: Round, run: str, now: datetime, lease: timedelta, mine: str = "") -> bool:
    """Take the lease on the round's job, unless somebody else holds it."""
    free = Q(state=Job.State.QUEUED) | Q(state=Job.State.RUNNING, lease_until__lte=now)
    if mine:
        free |= Q(lease_token=mine)
    job = Job.objects.filter(free, kind=COMBINE_JOB, payload__round=current.pk)
    return job.update(state=Job.State.RUNNING, lease_token=run, lease_until=now + lease) == 1


def _held(claim: Claim, now: datetime) -> Any:
    return Job.objects.filter(kind=COMBINE_JOB, state=Job.State.RUNNING, lease_token=claim.run, lease_until__gt=now)


def _made_by(claim: Claim) -> int | None:
    """The aggregate that this run made already."""
    made = rows.ModelAggregate.objects.filter(
        federated_model=claim.model, checkpoint__blob__endswith=f"-{claim.run}"
    ).first()
    return made.pk if made else None
