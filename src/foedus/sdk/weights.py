"""What training hands back, made to fit the model before anything is sent."""

from collections.abc import Collection, Mapping
from typing import Any

import numpy as np

from foedus.core.arrays import Arrays, Layout, Tensor, TensorSpec
from foedus.core.codecs.finite import check_finite
from foedus.core.errors import Invalid

_SHOWN = 5


def fitted(weights: Mapping[str, Any], layout: Layout) -> Arrays:
    """``weights`` in the order and the dtypes of ``layout``.

    A floating-point tensor may come in any floating-point dtype and is rounded to the model's. Every other change of
    dtype is allowed only where it changes no value. Raises Invalid, naming the tensor, for anything else: a missing or
    unknown name, another shape, NaN or infinity.
    """
    if not isinstance(weights, Mapping):
        raise Invalid(f"weights map names to arrays; training handed back {type(weights).__name__}")
    known = {t.name for t in layout}
    for name in weights:
        if name not in known:
            raise Invalid(f"tensor {str(name)[:80]!r} is not part of the model, which has {_some(known)}")
    for spec in layout:
        if spec.name not in weights:
            raise Invalid(f"tensor {spec.name!r} is missing in what training handed back", tensor=spec.name)
    result = Arrays({spec.name: _cast(np.asarray(weights[spec.name]), spec) for spec in layout})
    check_finite(result)
    return result


def delta(new: Arrays, base: Mapping[str, Tensor]) -> Arrays:
    """``new - base``, rounded once to the model's dtype.

    Integers wrap around, so that adding the base gives ``new`` again. Booleans cannot be subtracted: they must not
    have changed, and the difference is false.
    """
    return Arrays({name: _difference(name, array, base[name]) for name, array in new.items()})


def _some(names: Collection[str]) -> str:
    first, more = sorted(names)[:_SHOWN], len(names) - _SHOWN
    return ", ".join(repr(name[:80]) for name in first) + (f" and {more} more" if more > 0 else "")


def _cast(found: Tensor, spec: TensorSpec) -> Tensor:
    if found.dtype.kind not in "biuf":
        raise Invalid(f"tensor {spec.name!r} holds {found.dtype}, not numbers", tensor=spec.name)
    if found.shape != spec.shape:
        raise Invalid(
            f"tensor {spec.name!r} has shape {list(found.shape)}, the model's has {list(spec.shape)}", tensor=spec.name
        )
    if found.dtype == spec.dtype:
        return np.ascontiguousarray(found).reshape(spec.shape)  # a scalar would gain a dimension
    with np.errstate(over="ignore", invalid="ignore"):
        result = found.astype(spec.dtype, order="C")
        if (found.dtype.kind, result.dtype.kind) == ("f", "f"):
            return result
        # There and back finds lost digits, the comparison finds lost signs.
        same = np.array_equal(result.astype(found.dtype), found) and np.array_equal(result, found)
    if not same:
        raise Invalid(f"tensor {spec.name!r}: {found.dtype} does not fit into {spec.dtype} unchanged", tensor=spec.name)
    return result


def _difference(name: str, new: Tensor, base: Tensor) -> Tensor:
    if new.dtype.kind == "f":
        wide = np.result_type(new.dtype, np.float64)
        with np.errstate(over="ignore"):
            result = np.subtract(new, base, dtype=wide).astype(new.dtype)
        finite = np.isfinite(result)
        if not finite.all():
            index = int(finite.argmin())
            text = f"tensor {name!r} is too far from the model at element {index} for a delta in {new.dtype}"
            raise Invalid(text, tensor=name, index=index)
        return result
    if new.dtype.kind == "b":
        if not np.array_equal(new, base):
            raise Invalid(f"tensor {name!r} is bool and has changed, which a delta cannot say", tensor=name)
        return np.zeros_like(new)
    return np.subtract(new, base)
