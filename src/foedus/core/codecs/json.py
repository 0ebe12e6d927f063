"""Tensors as nested JSON lists: one array, a list of layers, or an object of named arrays.

Numbers are written so that reading them gives the same bits. What JSON lacks, the layout says: names and dtypes.
"""

import json
from collections.abc import Iterator
from enum import StrEnum
from typing import Any

import numpy as np

from foedus.core.arrays import Arrays, Layout, Tensor, TensorSpec
from foedus.core.codecs import strict_json
from foedus.core.codecs.finite import check_finite
from foedus.core.codecs.limits import DEFAULT, SINGLE, Limits
from foedus.core.codecs.sources import Data
from foedus.core.errors import Invalid

MEDIA_TYPE = "application/json"


class Form(StrEnum):
    """How several tensors stand in one JSON value."""

    MAPPING = "mapping"
    LAYERS = "layers"
    ARRAY = "array"


def encode(arrays: Arrays, form: Form = Form.MAPPING) -> bytes:
    """``arrays`` as an object by name, a list in their order, or the one array alone. Raises Invalid for NaN."""
    return b"".join(chunks(arrays, form))


def chunks(arrays: Arrays, form: Form = Form.MAPPING) -> Iterator[bytes]:
    """The document in pieces of one tensor each."""
    check_finite(arrays)
    if form is Form.ARRAY and len(arrays) != 1:
        raise Invalid(f"one JSON array holds one tensor, this model has {len(arrays)}")
    opening, closing = {Form.MAPPING: ("{", "}"), Form.LAYERS: ("[", "]"), Form.ARRAY: ("", "")}[form]
    yield opening.encode()
    for i, (name, array) in enumerate(arrays.items()):
        label = f"{json.dumps(name)}:" if form is Form.MAPPING else ""
        yield f"{',' if i else ''}{label}{json.dumps(array.tolist(), separators=(',', ':'))}".encode()
    yield closing.encode()


def decode(
    data: Data, *, layout: Layout | None = None, limits: Limits = DEFAULT, default_dtype: str = "float64"
) -> Arrays:
    """The tensors of a document, all of them finite.

    Without a ``layout``, a rectangular list is one tensor named ``weights``, any other list is layers named by their
    position, and numbers become ``default_dtype``. So only a layout tells layers of equal shape from one array.
    """
    limits.check_bytes(len(data))
    text = bytes(data)
    value = strict_json.parse(text, max_depth=limits.max_json_depth)
    mixed = b"true" in text or b"false" in text  # NumPy reads them as 1 and 0 among numbers
    named = _guess(value) if layout is None else _named(value, layout)
    limits.check_tensors(len(named))
    if layout is None:
        return Arrays({name: _tensor(v, _spec(name, v, default_dtype), mixed=mixed) for name, v in named.items()})
    return Arrays({spec.name: _tensor(named[spec.name], spec, mixed=mixed) for spec in layout})


def _guess(value: Any) -> dict[str, Any]:
    if isinstance(value, dict):
        return value
    if not isinstance(value, list) or not any(isinstance(v, list) for v in value) or _rectangular(value) is not None:
        return {SINGLE: value}
    return {str(i): layer for i, layer in enumerate(value)}


def _named(value: Any, layout: Layout) -> dict[str, Any]:
    """The part of ``value`` for each tensor of ``layout``; the parts' shapes are not looked at yet."""
    names = [spec.name for spec in layout]
    if isinstance(value, dict):
        for name in value:
            if name not in names:
                raise Invalid(f"tensor {name[:80]!r} is not part of the model", tensor=name)
        for name in names:
            if name not in value:
                raise Invalid(f"tensor {name!r} is missing", tensor=name)
        return value
    if len(names) == 1 and not _is_one_layer(value, layout.tensors[0]):
        return {names[0]: value}
    if not isinstance(value, list) or len(value) != len(names):
        raise Invalid(f"expected a list of {len(names)} layers, or an object with their names")
    return dict(zip(names, value, strict=True))


def _is_one_layer(value: Any, spec: TensorSpec) -> bool:
    """Whether ``value`` is the tensor with a list of one layer around it, rather than the tensor."""
    depth = 0
    while isinstance(value, list):
        depth += 1
        value = value[0] if value else None
    return depth == len(spec.shape) + 1


def _rectangular(value: Any) -> Tensor | None:
    try:
        return np.array(value)
    except (ValueError, OverflowError):  # ragged
        return None


def _spec(name: str, value: Any, default_dtype: str) -> TensorSpec:
    array = _rectangular(value)
    if array is None:
        raise Invalid(f"tensor {name[:80]!r} is not a rectangular list of numbers", tensor=name)
    return TensorSpec(name, array.shape, "bool" if array.dtype.kind == "b" else default_dtype)


def _tensor(value: Any, spec: TensorSpec, *, mixed: bool) -> Tensor:
    dtype = np.dtype(spec.dtype)
    found = _rectangular(value)
    if found is None or found.dtype.kind not in "biufO":
        raise Invalid(f"tensor {spec.name!r} is not a rectangular list of numbers", tensor=spec.name)
    if found.size == spec.size == 0:
        return np.empty(spec.shape, dtype)  # [] is all that is left of a shape such as (0, 3)
    if found.shape != spec.shape:
        raise Invalid(
            f"tensor {spec.name!r}: expected shape {list(spec.shape)}, found {list(found.shape)}", tensor=spec.name
        )
    if found.dtype.kind == "O" or dtype.kind != "f" or mixed:
        _check_leaves(value, spec)
    try:
        with np.errstate(over="ignore"):
            array = np.array(value, dtype) if found.dtype.kind == "O" or dtype.kind != "f" else found.astype(dtype)
    except OverflowError as exc:
        raise Invalid(f"tensor {spec.name!r} has a number that {spec.dtype} cannot hold", tensor=spec.name) from exc
    if dtype.kind == "f" and not np.isfinite(array).all():
        raise Invalid(f"tensor {spec.name!r} has a number that {spec.dtype} cannot hold", tensor=spec.name)
    return array


def _check_leaves(value: Any, spec: TensorSpec) -> None:
    """NumPy would cut 1.5 to 1, read "1" as a number and None as NaN."""
    allowed = {"b": (bool,), "f": (int, float)}.get(np.dtype(spec.dtype).kind, (int,))
    stack = [value]
    while stack:
        item = stack.pop()
        if isinstance(item, list):
            stack.extend(item)
        elif type(item) not in allowed:
            raise Invalid(f"tensor {spec.name!r} holds {spec.dtype}, not {str(item)[:40]!r}", tensor=spec.name)
