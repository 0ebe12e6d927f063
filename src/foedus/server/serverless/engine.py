"""Aggregation by foedus' own engine, where no worker runs that would do it: what FMA calls ``DjangoAggConnector``."""

from collections.abc import Callable
from datetime import datetime
from typing import Self

from django.db import transaction

from foedus.connectors.metadata.django import DjangoMetadata
from foedus.core.errors import Invalid
from foedus.ports import Ports
from foedus.ports.blobs import Blobs
from foedus.ports.metadata import FederatedModel, Metadata, Outcome
from foedus.records.aggregation import models as rows
from foedus.records.learning.queries import lock_project
from foedus.server.leases import renewing
from foedus.services.aggregation.tree import latest_aggregate
from foedus.services.learning.combining import combine
from foedus.services.learning.rounds import COMBINE_JOB, advance
from foedus.services.learning.waiting import reasons_of
from foedus.services.shell import jobs

MAX_ROUNDS = 10  # of one run: updates that waited for a round to close may fill the next one at once


class DjangoAggConnector:
    """Moves the model's project on, and does its combining here and now, under the same leases as a worker."""

    def __init__(self, metadata: DjangoMetadata, ports: Ports) -> None:
        self._metadata = metadata
        self._ports = ports

    @classmethod
    def from_settings(cls, metadata: Metadata, data: Blobs | None, ports: Ports) -> Self:
        if not isinstance(metadata, DjangoMetadata) or data is not None:
            raise Invalid(
                "DjangoAggConnector goes with DjangoMetadataConnector and no model_data_connector;"
                " for others set aggregator_connector_type to StoreAggConnector"
            )
        return cls(metadata, ports)

    def run(self, model: int, *, now: Callable[[], datetime]) -> Outcome:
        known = self._metadata.get_model(model)
        if not known.active:
            return Outcome(model=model, reason="Aggregation is paused.")
        row = rows.FederatedModel.objects.select_related("project").get(pk=model)
        before = latest_aggregate(row)
        for _ in range(MAX_ROUNDS):
            with transaction.atomic():
                advance(self._ports, lock_project(row.project_id), now())
            if not self._combine(row, now):
                break
        after = latest_aggregate(row)
        if after is not None and after != before:
            return Outcome(model=model, aggregate=after.pk)
        return self._nothing_new(known, row, now())

    def migrate(self) -> None:
        self._metadata.migrate()

    def _combine(self, row: rows.FederatedModel, now: Callable[[], datetime]) -> bool:
        job = jobs.claim(now(), kind=COMBINE_JOB, payload__project=row.project_id)
        if job is None:
            return False
        try:
            with renewing(lambda: jobs.renew(job, now())):
                combine(self._ports, job, now=now())
        except jobs.LeaseLost:
            return False  # it took too long, and somebody else does it by now
        except Exception as exc:
            jobs.postpone(job, repr(exc), now())
            raise
        return True

    def _nothing_new(self, known: FederatedModel, row: rows.FederatedModel, now: datetime) -> Outcome:
        row.project.refresh_from_db()
        reasons = " ".join(reason.text for reason in reasons_of(row.project, now))
        return Outcome(model=known.id, reason=reasons)
