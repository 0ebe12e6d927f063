"""A fleet's models: on the wire raw little-endian float32, in the engine safetensors of the same values."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from foedus.core.arrays import Layout
from foedus.core.codecs import raw, safetensors
from foedus.core.codecs.finite import check_finite
from foedus.core.fleet.layouts import fleet_model
from foedus.core.fleet.norms import check_norm
from foedus.ports import Ports
from foedus.services.shell.staging import Staged, staged

_PREFIX_BYTES = 8


@dataclass(frozen=True, slots=True)
class RawModel:
    """Where a model's bare values are: the last ``size_bytes`` of the blob, from ``start`` on."""

    blob: str
    start: int
    size_bytes: int

    def read(self, ports: Ports) -> Iterator[bytes]:
        return ports.blobs.read(self.blob, self.start)


def layout_of_model(name: str) -> Layout:
    """Raises Invalid when no model of this name is registered."""
    return fleet_model(name).layout


@contextmanager
def as_safetensors(scratch: Path, path: Path, layout: Layout, *, max_norm: float | None = None) -> Iterator[Staged]:
    """The raw values at ``path`` as the engine keeps models. Raises Invalid for a wrong length, NaN, a large norm."""
    with raw.open_source(path, layout=layout) as source:
        check_finite(source)
        check_norm(source, max_norm)
        with staged(scratch, safetensors.chunks(source), safetensors.size_bytes(layout)) as body:
            yield body


def raw_of(ports: Ports, blob: str, size_bytes: int) -> RawModel:
    """The bare values of a model that the engine keeps: they follow each other behind the header."""
    first = b"".join(ports.blobs.read(blob, 0, _PREFIX_BYTES))
    start = safetensors.header_bytes(first, size_bytes)
    return RawModel(blob, start, size_bytes - start)
