"""Models and updates as they come in: checked to the last number before anything is kept."""

from collections.abc import Callable
from uuid import uuid4

from foedus.core.arrays import Layout
from foedus.core.codecs import safetensors
from foedus.core.codecs.finite import FROM_ZERO, Extremes, check_countable, check_finite, check_moderate
from foedus.core.codecs.limits import ON_DISK
from foedus.core.codecs.packed import Wanted, open_update
from foedus.core.folding import Kind
from foedus.core.strategies.strategy import Needs
from foedus.ports import Ports
from foedus.records.learning.models import Checkpoint
from foedus.services.learning.bases import extremes_of
from foedus.services.shell.staging import Held, Staged


def checked_model(body: Staged, *, kind: str) -> Layout:
    """The layout of a body that is a model, whole and finite; raises Invalid otherwise.

    ``kind`` is that of the updates: whole weights have no mean where integers of the model are too large for it.
    """
    with safetensors.open_source(body.path) as source:
        check_finite(source)
        if kind == Kind.WEIGHTS:
            check_countable(source)
        return source.layout


def check_update(body: Staged | Held, wanted: Wanted, base: Callable[[], Extremes]) -> None:
    """Raise Invalid unless the body is what is wanted, however encoded: whole, consistent and fit to be combined."""
    with open_update(body.data if isinstance(body, Held) else body.path, wanted) as update:
        update.check_values(base)


def check_whole(ports: Ports, body: Staged, needs: Needs, base: Checkpoint | None) -> None:
    """Raise Invalid for whole weights, known to be finite, that a strategy with these needs could not combine.

    ``base`` is the model that steps are counted from; None: they are counted from zero.
    """
    with safetensors.open_source(body.path, limits=ON_DISK) as source:
        check_countable(source)
        if Kind.WEIGHTS in needs.moderate:
            check_moderate(source, FROM_ZERO if base is None else extremes_of(ports, base))


def store(ports: Ports, folder: str, body: Staged | Held) -> str:
    """Keep a body for good; its blob's key, named by its digest.

    Each body has a key of its own: taking one back can then never take another's bytes along.
    """
    key = f"{folder}/{body.digest}-{uuid4().hex[:8]}"
    if isinstance(body, Held):
        ports.blobs.put(key, body.data)
    else:
        ports.blobs.put_file(key, body.path)
    return key
