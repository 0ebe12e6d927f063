"""What a process keeps in mind of the models that updates begin from."""

from collections import OrderedDict
from threading import Lock

from foedus.core.codecs import safetensors
from foedus.core.codecs.finite import Extremes
from foedus.core.codecs.limits import ON_DISK
from foedus.ports import Ports
from foedus.records.learning.models import Checkpoint

MAX_KEPT = 256
MAX_KEPT_BYTES = 64 << 20  # in all; the newest is kept whatever its size

_kept: OrderedDict[str, Extremes] = OrderedDict()  # by the digest of the model
_lock = Lock()


def extremes_of(ports: Ports, checkpoint: Checkpoint) -> Extremes:
    """The extreme values of a checkpoint's model, which is read once, however many updates are checked."""
    key = checkpoint.digest
    with _lock:  # who comes meanwhile waits: reading it as well would take as long
        if key in _kept:
            _kept.move_to_end(key)
            return _kept[key]
        with (
            ports.blobs.local(checkpoint.blob) as path,
            safetensors.open_source(path, limits=ON_DISK) as model,
        ):
            found = _kept[key] = Extremes.of(model)
        while len(_kept) > 1 and (len(_kept) > MAX_KEPT or _bytes() > MAX_KEPT_BYTES):
            _kept.popitem(last=False)
        return found


def _bytes() -> int:
    return sum(each.nbytes for each in _kept.values())
