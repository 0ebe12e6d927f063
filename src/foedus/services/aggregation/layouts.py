"""A federated model's layout: fixed by its initial model or its first update, free again once nothing needs it."""

from datetime import datetime

from foedus.core.arrays import Layout
from foedus.core.codecs.json import Form
from foedus.core.rounds import Phase
from foedus.ports import Ports
from foedus.records.aggregation.models import FederatedModel, ModelUpdate
from foedus.records.learning.models import Checkpoint, Project, Round
from foedus.records.learning.queries import find_open_round
from foedus.services.aggregation.incoming import Weights, zeros
from foedus.services.learning import rounds
from foedus.services.learning.projects import put_initial_model
from foedus.services.shell.authorisation import SYSTEM
from foedus.services.shell.staging import Staged


def begin(ports: Ports, model: FederatedModel, project: Project, tensors: Staged, form: Form, now: datetime) -> None:
    """Make the tensors the project's first checkpoint and let it run, or stand if aggregation is not allowed."""
    put_initial_model(ports, SYSTEM, project.key, tensors, now=now)
    project.refresh_from_db()
    model.form = form
    model.save(update_fields=["form"])
    if not model.allow_aggregation:
        rounds.pause(ports, project, now)


def begin_from_nothing(
    ports: Ports, model: FederatedModel, project: Project, layout: Layout, form: Form, now: datetime
) -> None:
    """Fix the layout where no initial model was given: updates then start from zeros."""
    with zeros(ports, layout) as tensors:
        begin(ports, model, project, tensors, form, now)


def free_if_unused(project: Project, model: FederatedModel) -> None:
    """Forget the layout when it came with an update and no update is left. The caller holds the project's lock."""
    if model.has_initial_model or project.layout is None or model.aggregates.exists():
        return
    if model.updates.filter(status=ModelUpdate.Status.PENDING).exists() or _is_combining(project):
        return
    Round.objects.filter(project=project).delete()
    Checkpoint.objects.filter(project=project).delete()
    project.layout, project.state, project.next_check_at = None, Project.State.DRAFT, None
    project.save(update_fields=["layout", "state", "next_check_at"])
    model.form = ""
    model.save(update_fields=["form"])


def mismatch(model: FederatedModel, project: Project, weights: Weights) -> str:
    """Why the weights cannot be averaged with the model's; empty when nothing speaks against it so far."""
    if weights.structure is None:
        return weights.obstacle
    layout = project.model_layout
    if layout is None or weights.structure.form == model.form:
        return ""
    found = weights.structure
    return f"expected {_described(model.form, layout)}, found {_described(found.form, found.layout)}"


def _is_combining(project: Project) -> bool:
    current = find_open_round(project)
    return current is not None and current.state is Phase.COMBINING


def _described(form: str, layout: Layout) -> str:
    if form == Form.ARRAY:
        shape = layout.tensors[0].shape
        return f"one array of shape {list(shape)}" if shape else "a single number"
    shapes = ", ".join(str(list(spec.shape)) for spec in layout.tensors[:5])
    more = f" and {len(layout) - 5} more" if len(layout) > 5 else ""
    return f"{'a list of layers' if form == Form.LAYERS else 'an object of arrays'} of shapes {shapes}{more}"
