"""Questions that are asked of federated models' tables, by name."""

from collections import defaultdict
from collections.abc import Iterable
from uuid import UUID

from django.db.models import Case, F, IntegerField, QuerySet, Value, When

from foedus.core.rounds import Phase
from foedus.records.aggregation.models import FederatedModel, ModelUpdate
from foedus.records.learning.models import Membership


def client_uuids(models: Iterable[FederatedModel]) -> dict[int, list[UUID]]:
    """The clients registered to each of these models, by the project's primary key, in the order of joining."""
    rows = (
        Membership.objects.filter(
            project__in=[model.project_id for model in models],
            state=Membership.State.ACTIVE,
            participant__fma_client__isnull=False,
        )
        .order_by("joined_at", "participant_id")
        .values_list("project_id", "participant__fma_client__uuid")
    )
    found: defaultdict[int, list[UUID]] = defaultdict(list)
    for project, uuid in rows:
        found[project].append(uuid)
    return found


def with_shown_status(rows: QuerySet[ModelUpdate]) -> QuerySet[ModelUpdate]:
    """Rows with ``shown``: their status, which is running while their round is being combined."""
    running = When(
        status=ModelUpdate.Status.PENDING, update__round__phase=Phase.COMBINING, then=Value(ModelUpdate.Status.RUNNING)
    )
    return rows.annotate(shown=Case(running, default=F("status"), output_field=IntegerField()))


def showing(rows: QuerySet[ModelUpdate], status: int) -> QuerySet[ModelUpdate]:
    """The rows that show this status."""
    return rows.filter(pk__in=with_shown_status(rows).filter(shown=status).values("pk"))  # type: ignore[misc] # annotated
