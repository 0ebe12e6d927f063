"""Weights on their way in: the document as it was sent, and its numbers as float64, both on disk, not in memory."""

from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from foedus.core.arrays import Arrays, Layout, Tensor, TensorSource, TensorSpec
from foedus.core.codecs import json_stream, safetensors
from foedus.core.codecs.finite import check_finite
from foedus.core.codecs.json import Form
from foedus.core.codecs.json_shapes import Structure
from foedus.core.codecs.json_text import Text
from foedus.core.codecs.sources import FileSource, packed
from foedus.core.errors import Invalid
from foedus.ports import Ports
from foedus.services.aggregation import numbers
from foedus.services.aggregation.rules import form_of
from foedus.services.shell.staging import Staged, Staging, staged

MAX_DOCUMENT_BYTES = 4 << 30
_MAX_NUMBERS_BYTES = 8 * MAX_DOCUMENT_BYTES


@dataclass(frozen=True, slots=True)
class Weights:
    """Something handed in as weights. ``structure`` is None, and ``obstacle`` says why, where it cannot be averaged."""

    document: Staged
    numbers: TensorSource | None
    structure: Structure | None
    obstacle: str
    is_binary: bool

    def first_bytes(self, limit: int) -> bytes | None:
        """The whole document, or None if it is larger."""
        if self.document.size_bytes > limit:
            return None
        return self.document.path.read_bytes()


@contextmanager
def json_in(ports: Ports, text: Text) -> Iterator[Weights]:
    """The next value of ``text``. Raises Invalid for what is not JSON, TooLarge."""
    with ExitStack() as stack:
        document = stack.enter_context(Staging(ports.scratch, MAX_DOCUMENT_BYTES))
        binary = stack.enter_context(Staging(ports.scratch, _MAX_NUMBERS_BYTES))

        def emit(block: Tensor) -> None:
            binary.write(block.astype("<f8", copy=False).tobytes())

        text.peek()
        text.record(document.write)
        try:
            parsed = json_stream.read(text, emit, parse=numbers.parse)
        finally:
            text.record(None)
        source = _source(binary.finish(None).path, parsed.structure)
        yield Weights(document.finish(None), source, parsed.structure, parsed.obstacle, is_binary=False)


@contextmanager
def json_bytes_in(ports: Ports, pieces: Iterable[bytes]) -> Iterator[Weights]:
    """A whole JSON document. Raises Invalid, TooLarge."""
    text = Text(pieces)
    with json_in(ports, text) as weights:
        text.end()
        yield weights


@contextmanager
def safetensors_in(ports: Ports, pieces: Iterable[bytes], limit_bytes: int) -> Iterator[Weights]:
    """A whole safetensors file. Raises Invalid, TooLarge."""
    with (
        staged(ports.scratch, pieces, min(limit_bytes, MAX_DOCUMENT_BYTES)) as document,
        safetensors.open_source(document.path) as source,
    ):
        structure = _named(source.layout)
        try:
            check_finite(source)
        except Invalid as exc:
            yield Weights(document, None, None, exc.message, is_binary=True)
            return
        yield Weights(document, source, structure, "", is_binary=True)


@contextmanager
def as_tensors(ports: Ports, weights: Weights, layout: Layout | None) -> Iterator[Staged]:
    """The weights as a safetensors file, with the order and dtypes of ``layout``. Raises Invalid if they do not fit."""
    assert weights.numbers is not None, "only what can be averaged gets here"  # noqa: S101
    assert weights.structure is not None, "as above"  # noqa: S101
    source = _Cast(weights.numbers, layout or weights.structure.layout)
    size = safetensors.size_bytes(source.layout)
    with staged(ports.scratch, safetensors.chunks(source), size) as body:
        yield body


@contextmanager
def zeros(ports: Ports, layout: Layout) -> Iterator[Staged]:
    """A model of that layout that knows nothing yet."""
    empty = Arrays({spec.name: np.zeros(spec.shape, spec.dtype) for spec in layout})
    with staged(ports.scratch, safetensors.chunks(empty), safetensors.size_bytes(layout)) as body:
        yield body


def _named(layout: Layout) -> Structure:
    """How tensors that came with names stand in JSON; layers go by number, in whatever order they were written."""
    form = form_of([spec.name for spec in layout])
    if form is Form.LAYERS:
        layout = Layout(tuple(sorted(layout, key=lambda spec: int(spec.name))))
    return Structure(form, layout)


def _source(path: Path, structure: Structure | None) -> TensorSource | None:
    if structure is None:
        return None
    source: TensorSource = FileSource(path, structure.layout, packed(structure.layout))
    return source


class _Cast:
    """Tensors in another layout's order and dtypes. Raises Invalid for other names, shapes and too large numbers."""

    def __init__(self, source: TensorSource, layout: Layout) -> None:
        found = {spec.name: spec for spec in source.layout}
        Layout(tuple(_with_dtype_of(spec, found.get(spec.name)) for spec in layout)).check(source.layout)
        self.layout = layout
        self._source = source
        self._dtypes = {spec.name: np.dtype(spec.dtype) for spec in layout}

    def block(self, name: str, start: int, stop: int) -> Tensor:
        found, dtype = self._source.block(name, start, stop), self._dtypes[name]
        if found.dtype == dtype:
            return found
        with np.errstate(over="ignore", invalid="ignore"):
            cast = found.astype(dtype)
        fits = np.isfinite(cast).all() if dtype.kind == "f" else np.array_equal(cast, found)
        if not fits:
            raise Invalid(f"tensor {name!r} has a number that {dtype.name} cannot hold", tensor=name)
        return cast


def _with_dtype_of(spec: TensorSpec, found: TensorSpec | None) -> TensorSpec:
    return spec if found is None else TensorSpec(spec.name, spec.shape, found.dtype)
