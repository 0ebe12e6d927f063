"""What a process keeps in mind of the models that updates begin from."""

from threading import Lock

from foedus.core.codecs import safetensors
from foedus.core.codecs.finite import Extremes
from foedus.core.codecs.limits import ON_DISK
from foedus.ports import Ports
from foedus.records.learning.models import Checkpoint
from foedus.services.shell.at_hand import AtHand, Memory

MOST_BYTES = 256 << 20  # of models that are extreme all over; others take next to nothing

_EXTREMES: AtHand[str, Extremes] = AtHand("extremes", Memory(MOST_BYTES))  # by the digest of the model
_lock = Lock()


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
