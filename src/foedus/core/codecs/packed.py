"""Updates in fewer bytes: a safetensors file whose tensors say in their names how they are encoded.

Its metadata has ``foedus.update`` = ``1``; then every tensor's name begins with its form:

    plain/<tensor>                       values, of floats also in a narrower dtype
    bf16/<tensor>                        the upper halves of float32, as uint16
    int8/<tensor> with scale/<tensor>    value = int8 * scale; one scale, or one for each row of the first dimension
    indices/<tensor> with values/<tensor>    all is zero but these elements, flat, in ascending order; deltas only
    extras/<group>/<tensor>              what else the strategy wants back, as ``plain``

A file without that metadata is a plain model, and is read as one. Either may say in ``foedus.kind`` whether it is
``weights`` or ``delta``, and is refused where the other is wanted. Values are decoded block by
block, while they are read.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from foedus.core.arrays import Layout, Tensor, TensorSource, TensorSpec
from foedus.core.codecs import safetensors
from foedus.core.codecs.finite import FROM_ZERO, Extremes, check_countable, check_finite, check_moderate
from foedus.core.codecs.forms import Form, bfloat16, dense, quantised, sparse
from foedus.core.codecs.limits import Limits
from foedus.core.codecs.sources import Data, PlacedSource
from foedus.core.errors import Invalid
from foedus.core.folding import Kind

MARK = "foedus.update"
KIND = "foedus.kind"
VERSION = "1"
METADATA: Mapping[str, str] = {MARK: VERSION}
ENCODINGS = ("plain", "float16", "bfloat16", "int8", "sparse")
EXTRAS = "extras"
_PARTS = ("plain", "bf16", "int8", "scale", "indices", "values")
_NAMES_BYTES = 400  # of a second entry in the header, beyond the tensor's own name


@dataclass(frozen=True, slots=True)
class Wanted:
    """What an update must be: of this layout and kind, with these groups of extras and no others.

    ``moderate``  whether its steps, and its extras, must not be larger than strategies can calculate with
    """

    layout: Layout
    kind: Kind = Kind.WEIGHTS
    extras: Mapping[str, Layout] = field(default_factory=dict)
    moderate: bool = False

    @property
    def size_bytes(self) -> int:
        """The most bytes such an update may have. What is larger than plain values saves nothing, and is refused."""
        size = safetensors.size_bytes(self.layout)
        header = size - self.layout.nbytes
        extras = sum(2 * header + layout.nbytes for layout in self.extras.values())
        return size + header + _NAMES_BYTES * len(self.layout) + extras


@dataclass(frozen=True, slots=True)
class Opened:
    """An update that is read in blocks. To be closed."""

    source: TensorSource
    extras: Mapping[str, TensorSource]
    file: PlacedSource
    wanted: Wanted

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.file.close()

    def check_values(self, base: Callable[[], Extremes]) -> None:
        """Read everything once. Raises Invalid naming the first value that could not be combined.

        ``base`` gives the extremes of the model that steps of whole weights are counted from, where these matter.
        """
        check_countable(self.source)
        if not self.wanted.moderate:
            for group in (self.source, *self.extras.values()):
                check_finite(group)
            return
        check_moderate(self.source, base() if self.wanted.kind is Kind.WEIGHTS else FROM_ZERO)
        for group in self.extras.values():
            check_moderate(group)


class Decoded:
    """A ``TensorSource`` of ``layout``, each tensor read through its form."""

    def __init__(self, layout: Layout, forms: Mapping[str, Form]) -> None:
        self.layout = layout
        self._forms = forms

    def block(self, name: str, start: int, stop: int) -> Tensor:
        form = self._forms[name]
        start, stop, _ = slice(start, stop).indices(form.spec.size)
        return form.block(start, max(start, stop))


def open_update(where: Path | Data, wanted: Wanted, *, limits: Limits | None = None) -> Opened:
    """The update in a file, or in a buffer. Raises Invalid unless it is what is wanted, whole and consistent.

    Forms are checked to the last index; whether values can be combined, ``check_values`` tells.
    """
    file = safetensors.open_source(where, limits=limits)
    try:
        _check_kind(file, wanted.kind)
        return _packed(file, wanted) if _is_packed(file) else _plain(file, wanted)
    except BaseException:
        file.close()
        raise


def _check_kind(file: PlacedSource, wanted: Kind) -> None:
    """Nothing else in a file tells deltas from weights, and one taken for the other ruins a model."""
    kind = file.metadata.get(KIND, wanted)
    if kind != wanted:
        raise Invalid(f"this update says that it is {kind[:20]!r}, and this project wants {wanted.value!r}")


def _is_packed(file: PlacedSource) -> bool:
    version = file.metadata.get(MARK)
    if version not in (None, VERSION):
        raise Invalid(f"this update is packed in version {version[:20]!r}; known is {VERSION!r}")
    return version is not None


def _plain(file: PlacedSource, wanted: Wanted) -> Opened:
    wanted.layout.check(file.layout)
    if wanted.extras:
        raise Invalid(f"the project's strategy needs {', '.join(wanted.extras)} with every update, and this has none")
    return Opened(file, {}, file, wanted)


def _packed(file: PlacedSource, wanted: Wanted) -> Opened:
    parts, extras = _sorted_out(file.layout)
    forms = {spec.name: _form(file, spec, parts.pop(spec.name, {}), wanted.kind) for spec in wanted.layout}
    for name in parts:
        raise Invalid(f"tensor {name!r} is not part of the model", tensor=name)
    groups = {group: _group(file, group, layout, extras.pop(group, {})) for group, layout in wanted.extras.items()}
    for group in extras:
        raise Invalid(f"the project's strategy does not ask for {group[:80]!r} with updates")
    return Opened(Decoded(wanted.layout, forms), groups, file, wanted)


Parts = dict[str, dict[str, TensorSpec]]


def _sorted_out(layout: Layout) -> tuple[Parts, Parts]:
    """The file's tensors by the tensor and the part of it that they hold; extras by group and tensor."""
    parts: Parts = {}
    extras: Parts = {}
    for spec in layout:
        part, _, name = spec.name.partition("/")
        if part in _PARTS and name:
            parts.setdefault(name, {})[part] = spec
            continue
        group, _, tensor = name.partition("/")
        if part != EXTRAS or not tensor:
            raise Invalid(f"tensor {spec.name!r} of a packed update has no known form", tensor=spec.name)
        extras.setdefault(group, {})[tensor] = spec
    return parts, extras


def _form(file: PlacedSource, spec: TensorSpec, found: Mapping[str, TensorSpec], kind: Kind) -> Form:
    match sorted(found):
        case ["plain"]:
            return dense(file, found["plain"], spec)
        case ["bf16"]:
            return bfloat16(file, found["bf16"], spec)
        case ["int8", "scale"]:
            return quantised(file, found["int8"], found["scale"], spec)
        case ["indices", "values"]:
            if kind is not Kind.DELTA:
                text = f"tensor {spec.name!r} is sparse: only deltas may be, and this project wants weights"
                raise Invalid(text, tensor=spec.name)
            return sparse(file, found["indices"], found["values"], spec)
        case []:
            raise Invalid(f"tensor {spec.name!r} is missing", tensor=spec.name)
        case names:
            raise Invalid(f"tensor {spec.name!r} comes as {' and '.join(names)}, which is no form", tensor=spec.name)


def _group(file: PlacedSource, group: str, layout: Layout, found: dict[str, TensorSpec]) -> TensorSource:
    forms = {}
    for spec in layout:
        if spec.name not in found:
            raise Invalid(f"tensor {spec.name!r} of {group!r} is missing in the update", tensor=spec.name)
        forms[spec.name] = dense(file, found.pop(spec.name), spec)
    for name in found:
        raise Invalid(f"tensor {name!r} of {group!r} is not part of the model", tensor=name)
    return Decoded(layout, forms)
