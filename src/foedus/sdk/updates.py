"""From what training hands back to the bytes that travel."""

import json
import logging
from collections.abc import Mapping
from dataclasses import replace

from foedus.core.arrays import Arrays, Layout
from foedus.core.building import each
from foedus.core.codecs import packed as form
from foedus.core.codecs import packing, safetensors
from foedus.core.codecs.finite import check_finite
from foedus.core.errors import Invalid
from foedus.core.strategies.strategy import moment_layout
from foedus.sdk.answers import Task
from foedus.sdk.folder import Folder, Pending
from foedus.sdk.memory import Memory
from foedus.sdk.training import Update
from foedus.sdk.weights import delta, fitted

ONE_CALL_BYTES = 16 << 20  # larger updates travel in pieces
MAX_METRICS_BYTES = 4 << 10
RESIDUAL = "residual"  # what sparse updates have left out so far

log = logging.getLogger("foedus.participant")


def packed(update: Update, model: Arrays, task: Task, folder: Folder, memory: Memory, since: int) -> Pending:
    """``update`` checked against ``model``, encoded, kept in ``folder``; what it leaves behind in ``memory``.

    Raises: Invalid when it does not fit the model, is not finite, or lacks what the project's strategy needs.
    """
    if task.checkpoint is None or task.round is None:
        raise Invalid("only a training has an update")
    metrics_header(update.metrics)  # now rather than when it is handed in
    arrays = fitted(update.weights, model.layout)
    if task.update_kind == "delta":
        arrays = delta(arrays, model)
    elif task.update_kind != "weights":
        raise Invalid(f"the project wants {task.update_kind!r} as updates, which needs a newer foedus")
    extras = _extras(update, model, task)
    left = {group: Arrays(dict(kept)) for group, kept in update.memory.items()}
    parts, metadata = arrays, {form.KIND: task.update_kind} if task.update_kind == "delta" else {}
    encoding = _encoding(update, task)
    if isinstance(encoding, packing.TopK):
        metadata |= form.METADATA
        parts, left[RESIDUAL] = packing.sparsified(_with_residual(arrays, memory, since), encoding, extras)
    elif encoding != "plain" or extras:
        metadata |= form.METADATA
        parts = packing.packed(arrays, encoding, extras)
    memory.propose(left, since)
    pending = Pending(task.round, task.checkpoint.digest, update.examples, update.metrics)
    if parts.layout.nbytes > ONE_CALL_BYTES:
        return folder.keep_pending(pending, safetensors.chunks(parts, metadata))
    return folder.keep_pending(replace(pending, data=safetensors.encode(parts, metadata)))


def _encoding(update: Update, task: Task) -> str | packing.TopK:
    """The encoding that is asked for, or plain where the server reads no other."""
    encoding = update.encoding
    is_sparse = isinstance(encoding, packing.TopK)
    if is_sparse and task.update_kind != "delta":
        raise Invalid("TopK is for deltas: let the project's update_kind be delta")
    if not is_sparse and encoding not in ("plain", "float16", "bfloat16", "int8"):
        raise Invalid(f"{str(encoding)[:80]!r} is not one of the encodings plain, float16, bfloat16, int8, TopK(...)")
    if encoding == "plain" or ("sparse" if is_sparse else encoding) in task.encodings:
        return encoding
    log.warning("the server reads no updates in %s: it is sent plain", encoding)
    return "plain"


def _extras(update: Update, model: Arrays, task: Task) -> dict[str, Arrays]:
    """What the strategy wants back; raises Invalid unless the update has exactly that, and the metrics it needs."""
    offer = task.strategy
    returns: tuple[str, ...] = offer.returns if offer else ()
    for group in returns:
        if group not in update.extras:
            text = f"the strategy {offer.name if offer else ''} needs {group!r} with every update, and this has none"
            raise Invalid(text)
    for group in update.extras:
        if group not in returns:
            raise Invalid(f"the project's strategy does not ask for {group[:80]!r} with updates")
    for metric in offer.metrics if offer else ():
        if metric not in update.metrics:
            raise Invalid(f"the project's strategy needs the metric {metric!r} with every update, and this has none")
    layout = moment_layout(model.layout)
    return {group: fitted(update.extras[group], layout) for group in returns}


def _with_residual(arrays: Arrays, memory: Memory, since: int) -> Arrays:
    """``arrays`` and what earlier sparse updates have left out of theirs."""
    layout = Layout(tuple(t for t in arrays.layout if t.dtype.startswith("float") and t.size >= packing.FEW))
    left = memory.recall(RESIDUAL, since, layout)
    if left is None:
        return arrays
    whole = each(lambda new, old: new + old, Arrays({t.name: arrays[t.name] for t in layout}), left)
    check_finite(whole)
    return Arrays({name: whole.get(name, array) for name, array in arrays.items()})


def metrics_header(metrics: Mapping[str, float]) -> str:
    """Metrics as a header's value: ASCII, at most 4 KiB. Raises Invalid when they are more."""
    text = json.dumps(dict(metrics), allow_nan=False, separators=(",", ":"))
    if len(text) > MAX_METRICS_BYTES:
        raise Invalid(f"the metrics of an update take {len(text)} bytes as JSON, {MAX_METRICS_BYTES} are allowed")
    return text
