"""What a process keeps in mind of the models that updates begin from."""

from threading import Lock

from foedus.core.arrays import Layout
from foedus.core.codecs import safetensors
from foedus.core.codecs.finite import Extremes
from foedus.core.codecs.limits import ON_DISK
from foedus.core.errors import Conflict
from foedus.ports import Ports
from foedus.records.learning.models import Checkpoint, Project
from foedus.services.shell.at_hand import AtHand, Memory

MOST_BYTES = 256 << 20  # of models that are extreme all over; others take next to nothing
_LAYOUTS: AtHand[int, Layout] = AtHand("layouts", Memory(64 << 20))  # by the project's key, as it was written there
_TENSOR_BYTES = 1 << 10  # of a layout, with what it was made from; names are short

_EXTREMES: AtHand[str, Extremes] = AtHand("extremes", Memory(MOST_BYTES))  # by the digest of the model
_lock = Lock()


def layout_of(project: Project) -> Layout:
    """The layout of a project's model, which may have thousands of tensors. Raises Conflict while there is none."""
    known = _LAYOUTS.get(project.pk, project.layout)
    if known is not None:
        return known
    layout = project.model_layout
    if layout is None:
        raise Conflict(f"project {project.key!r} has no model yet")
    _LAYOUTS.keep(project.pk, layout, _TENSOR_BYTES * len(layout), project.layout)
    return layout


def extremes_of(ports: Ports, checkpoint: Checkpoint) -> Extremes:
    """The extreme values of a checkpoint's model, which is read once, however many updates are checked."""
    with _lock:  # who comes meanwhile waits: reading it as well would take as long
        known = _EXTREMES.get(checkpoint.digest)
        if known is not None:
            return known
        with (
            ports.blobs.local(checkpoint.blob) as path,
            safetensors.open_source(path, limits=ON_DISK) as model,
        ):
            found = Extremes.of(model)
        _EXTREMES.keep(checkpoint.digest, found, found.nbytes)
        return found
