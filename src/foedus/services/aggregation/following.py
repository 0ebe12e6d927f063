"""What follows for a federated model when a round of its project closes, in the same transaction."""

from datetime import datetime

from foedus.ports import Ports
from foedus.records.aggregation.models import FederatedModel, ModelUpdate
from foedus.records.learning.models import Project, Round
from foedus.services.aggregation.placing import place_waiting
from foedus.services.aggregation.tree import add_aggregate, latest_aggregate


def round_closed(ports: Ports, project: Project, current: Round, *, now: datetime) -> None:
    """Number the new aggregate, tell the updates what became of them, and let those in that had to wait."""
    model = FederatedModel.objects.filter(project=project).first()
    if model is None:
        return
    updates = ModelUpdate.objects.filter(update__round=current)
    if current.checkpoint is not None:
        aggregate = add_aggregate(model, current.checkpoint, latest_aggregate(model), now)
        updates.update(status=ModelUpdate.Status.COMPLETE, applied_aggregate=aggregate)
    else:
        text = str((current.reason or {}).get("text", ""))[:500]
        updates.update(status=ModelUpdate.Status.FAILED, reason=text)
        if project.state == Project.State.PAUSED and model.allow_aggregation:
            model.allow_aggregation = False  # the engine stands still until somebody says otherwise
            model.save(update_fields=["allow_aggregation"])
    place_waiting(ports, project, model, now)
