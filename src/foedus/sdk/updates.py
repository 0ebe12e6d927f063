"""From what training hands back to the bytes that travel."""

from dataclasses import replace

from foedus.core.arrays import Arrays
from foedus.core.codecs import safetensors
from foedus.core.errors import Invalid
from foedus.sdk.answers import Task
from foedus.sdk.folder import Folder, Pending
from foedus.sdk.training import Update
from foedus.sdk.uploads import ONE_CALL_BYTES, metrics_header
from foedus.sdk.weights import delta, fitted


def packed(update: Update, model: Arrays, task: Task, folder: Folder) -> Pending:
    """``update`` checked against ``model``, as a delta where the task wants one, kept in ``folder``.

    Raises: Invalid when it does not fit the model or is not finite.
    """
    if task.checkpoint is None or task.round is None:
        raise Invalid("only a training has an update")
    metrics_header(update.metrics)  # now rather than when it is handed in
    arrays = fitted(update.weights, model.layout)
    if task.update_kind == "delta":
        arrays = delta(arrays, model)
    elif task.update_kind != "weights":
        raise Invalid(f"the project wants {task.update_kind!r} as updates, which needs a newer foedus")
    pending = Pending(task.round, task.checkpoint.digest, update.examples, update.metrics)
    if arrays.layout.nbytes > ONE_CALL_BYTES:
        return folder.keep_pending(pending, safetensors.chunks(arrays))
    return folder.keep_pending(replace(pending, data=safetensors.encode(arrays)))
