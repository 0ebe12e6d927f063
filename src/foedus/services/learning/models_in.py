"""Models and updates as they come in: checked to the last number before anything is kept."""

from uuid import uuid4

from foedus.core.arrays import Layout
from foedus.core.codecs import safetensors
from foedus.core.codecs.finite import check_finite
from foedus.ports import Ports
from foedus.services.shell.staging import Staged


def checked_model(body: Staged, expected: Layout | None) -> Layout:
    """The layout of a body that is whole, finite and (unless None) of the expected layout; raises Invalid otherwise."""
    with safetensors.open_source(body.path) as source:
        if expected is not None:
            expected.check(source.layout)
        check_finite(source)
        return source.layout


def size_limit(layout: Layout) -> int:
    """The most bytes that an update of this layout may have."""
    return safetensors.size_bytes(layout)


def store(ports: Ports, folder: str, body: Staged) -> str:
    """Keep a body for good; its blob's key, named by its digest.

    Each body has a key of its own: taking one back can then never take another's bytes along.
    """
    key = f"{folder}/{body.digest}-{uuid4().hex[:8]}"
    ports.blobs.put_file(key, body.path)
    return key
