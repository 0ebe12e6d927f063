"""What a worker does: trains or evaluates some participants, one after the other, on one model.

Whatever is random comes from the seed, the participant and the round, so that it matters neither who does the work
nor in which order.
"""

import random
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, TypeVar

import numpy as np

from foedus.core.arrays import Arrays
from foedus.core.codecs import safetensors
from foedus.core.errors import Invalid
from foedus.sdk.answers import Task
from foedus.sdk.folder import Folder
from foedus.sdk.memory import Memory
from foedus.sdk.states import Sent
from foedus.sdk.training import Context, Evaluation, Update
from foedus.sdk.updates import packed
from foedus.simulation.app.app import App, Place, accepted, load
from foedus.simulation.app.failures import Failure, Interrupted

PROJECT = "simulation"
Bytes = bytes | Path  # of a model: in memory, or the file they are in
Kind = Literal["train", "evaluate"]


@dataclass(frozen=True, slots=True)
class Item:
    """One participant's task. ``memory`` is what its accepted updates left behind: groups as files."""

    index: int
    task: Task
    memory: Mapping[str, bytes] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Batch:
    """Tasks that begin from the same checkpoint."""

    kind: Kind
    place: Place
    participants: int
    seed: int
    items: tuple[Item, ...]


@dataclass(frozen=True, slots=True)
class Trained:
    """An update as it travels, and what it leaves behind if it is accepted."""

    data: bytes
    digest: str
    examples: float
    metrics: Mapping[str, float]
    memory: Mapping[str, bytes]


Result = Trained | Evaluation | Failure
Outcome = TypeVar("Outcome", Update, Evaluation)


def work(batch: Batch, model: Bytes, state: Bytes | None) -> tuple[Result, ...]:
    """What came of each item, in their order. What goes wrong with one of them is its own."""
    app = load(batch.place)
    arrays = safetensors.decode(_read(model))
    kept = None if state is None else safetensors.decode(_read(state))
    with Folder(None) as folder:
        return tuple(_done(app, batch, item, arrays, kept, folder) for item in batch.items)


def _done(app: App, batch: Batch, item: Item, model: Arrays, state: Arrays | None, folder: Folder) -> Result:
    try:
        if batch.kind == "evaluate":
            context = Context(PROJECT, item.task, threading.Event(), threading.Event())
            return _called(Evaluation, app.evaluate, app, batch, item, model, context)
        return _trained(app, batch, item, model, state, folder)
    except Interrupted:
        raise
    except BaseException as exc:  # noqa: BLE001 - an app may raise whatever it likes, and be a script at heart
        return Failure.of(exc)


def _trained(app: App, batch: Batch, item: Item, model: Arrays, state: Arrays | None, folder: Folder) -> Trained:
    memory = Memory(folder.path / "memory")
    _lay_out(folder.path / "memory", item.memory)
    sent = _sent(item.task, model, state)
    context = Context(PROJECT, item.task, threading.Event(), threading.Event(), sent, memory)
    update = _called(Update, app.train, app, batch, item, model, context)
    pending = packed(update, model, item.task, folder, memory, context.since)
    data = folder.update_file.read_bytes() if pending.data is None else pending.data
    left = {path.stem: path.read_bytes() for path in (folder.path / "memory").glob("*.next")}
    return Trained(data, pending.digest, pending.examples, dict(pending.metrics), left)


def _called(
    kind: type[Outcome],
    function: Callable[..., Any] | None,
    app: App,
    batch: Batch,
    item: Item,
    model: Arrays,
    context: Context,
) -> Outcome:
    if function is None:
        raise Invalid("the app has no evaluate")
    rng = np.random.default_rng([batch.seed, item.index, 1, _moment(item.task)])
    _seed_globals(rng)
    offered: Mapping[str, Callable[[], Any]] = {
        "data": lambda: _data(app, batch, item.index),
        "rng": lambda: rng,
        "context": lambda: context,
    }
    result = function(model, item.task.settings, **accepted(function, offered))
    if not isinstance(result, kind):
        raise TypeError(f"expected foedus.sdk.{kind.__name__}, got {type(result).__name__}")
    return result


def _data(app: App, batch: Batch, index: int) -> Any:
    if app.data is None:
        raise Invalid("the app takes data and has no data(index, participants, rng)")
    return app.data(index, batch.participants, np.random.default_rng([batch.seed, index, 0]))


def _moment(task: Task) -> int:
    if task.round is not None:
        return task.round
    return task.checkpoint.number if task.checkpoint else 0


def _seed_globals(rng: np.random.Generator) -> None:
    """Apps that draw from the generators of the whole process are reproducible, too."""
    seed = int(rng.integers(1 << 32))
    random.seed(seed)
    np.random.seed(seed)  # noqa: NPY002 - for those who still use it


def _lay_out(folder: Path, memory: Mapping[str, bytes]) -> None:
    """The memory of one participant, and of nobody before it."""
    if not memory and not folder.exists():
        return
    folder.mkdir(exist_ok=True)
    for path in folder.iterdir():
        path.unlink()
    for group, data in memory.items():
        (folder / group).write_bytes(data)


def _sent(task: Task, model: Arrays, state: Arrays | None) -> Sent | None:
    """What the strategy sends along; None where it sends nothing."""
    offer, checkpoint = task.strategy, task.checkpoint
    if offer is None or not offer.sends or checkpoint is None:
        return None
    if state is None:
        return Sent.beginning(offer.sends, model, checkpoint.number)
    return Sent.of(offer.sends, state, checkpoint.number)


def _read(content: Bytes) -> bytes:
    return content.read_bytes() if isinstance(content, Path) else content
