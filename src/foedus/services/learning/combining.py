"""Combine, then switch: the new checkpoint is stored before one transaction closes the round and opens the next."""

import mmap
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from datetime import datetime
from math import fsum
from pathlib import Path

import structlog
from django.db import transaction

from foedus.core.arrays import Arrays
from foedus.core.building import building_in
from foedus.core.codecs import safetensors
from foedus.core.codecs.limits import ON_DISK
from foedus.core.codecs.packed import Wanted, open_update
from foedus.core.errors import Invalid, NotFound
from foedus.core.folding import Update as Contribution
from foedus.core.rounds import Phase, Reason
from foedus.core.strategies.strategy import State, Strategy, needs_of
from foedus.ports import Ports
from foedus.records.learning.changes import add_checkpoint
from foedus.records.learning.models import Checkpoint, Round, Update
from foedus.records.learning.queries import contents_of, find_latest_checkpoint, find_round, lock_project, updates_of
from foedus.records.shell.models import Job
from foedus.services.learning.drafts import Drafts
from foedus.services.learning.equipment import keeps_state, wanted_under
from foedus.services.learning.rounds import advance, close_complete, close_invalid
from foedus.services.learning.rules import built
from foedus.services.shell import jobs
from foedus.services.shell.events import gathered
from foedus.services.shell.staging import Staged, Staging

log = structlog.get_logger()

_IN_MEMORY_BYTES = 1 << 20  # of a model, or of small bodies together: below, a file costs more than it saves memory
_ALIGNMENT = 64  # where bodies begin, so that their values can be read where they lie


def combine(ports: Ports, job: Job, *, now: datetime) -> None:
    """Do a combine job: fold the round's updates into the next checkpoint. Starting anew after a crash is safe."""
    current = find_round(job.payload["round"])
    if current is None or current.state is not Phase.COMBINING:
        jobs.complete(job)
        return
    updates = updates_of(current)
    with ExitStack() as stack:
        drafts = stack.enter_context(Drafts(ports.scratch))
        try:
            with building_in(drafts.make):
                state = _step(ports, current, updates, stack)
        except (Invalid, NotFound) as exc:
            _fail(ports, job, current, exc, now)
            return
        model = stack.enter_context(drafts.written(state.weights))
        blob = _store(ports, current, model)
        state_blob = _store_moments(ports, current, state, drafts)
    _switch(ports, job, current, updates, model, blob, state_blob, now)


def abandon(ports: Ports, job: Job, *, now: datetime) -> None:
    """A combine job failed for good: its round is invalid, and the project waits for an operator."""
    current = find_round(job.payload["round"])
    if current is not None:
        with transaction.atomic():
            job.refresh_from_db()
            _close_uncombined(ports, current, f"{job.attempts} tries failed, the last with {job.latest_error}", now)


def metrics_of(updates: list[Update]) -> dict[str, float]:
    """Means of the updates' metrics, weighted by examples; each over the updates that report it."""
    names = sorted({name for update in updates for name in update.metrics})
    return {name: _mean([(float(u.metrics[name]), u.examples) for u in updates if name in u.metrics]) for name in names}


def _mean(weighted: list[tuple[float, float]]) -> float:
    """The same in any order, between the least and the greatest value, and finite where these are."""
    values = [value for value, _ in weighted]
    total = fsum(weight for _, weight in weighted)
    half = fsum(value / 2 * (weight / total) for value, weight in weighted)  # the whole might pass the largest float
    return float(min(max(2 * half, min(values)), max(values)))


def _step(ports: Ports, current: Round, updates: list[Update], stack: ExitStack) -> State:
    """The strategy's next state. Raises Invalid (NoUpdates among others)."""
    strategy: Strategy = built("foedus.strategies", current.strategy)
    weights = _weights(ports, current.base, stack)
    state = _state(ports, current, strategy, weights, stack)
    wanted = wanted_under(weights.layout, current.project, needs_of(strategy))
    return strategy.step(state, _contributions(ports, wanted, updates, stack))


def _state(ports: Ports, current: Round, strategy: Strategy, weights: Arrays, stack: ExitStack) -> State:
    """Where the strategy stopped, or its beginning."""
    if not keeps_state(current.base, current.strategy["name"]):
        return strategy.init(weights)
    return replace(State.from_tensors(_mapped(ports, current.base.state_blob, stack)), weights=weights)


def _contributions(ports: Ports, wanted: Wanted, updates: list[Update], stack: ExitStack) -> Iterator[Contribution]:
    held = _held(ports, updates, stack)
    for update in updates:
        where = held[update.pk] if update.pk in held else _local(ports, update.blob, stack)
        opened = stack.enter_context(open_update(where, wanted))
        yield Contribution(
            key=f"{update.digest}/{update.membership_id}",
            weight=update.examples,
            source=opened.source,
            kind=wanted.kind,
            staleness=update.staleness,
            metrics=update.metrics,
            extras=opened.extras,
        )


def _held(ports: Ports, updates: list[Update], stack: ExitStack) -> dict[int, memoryview]:
    """The bodies that are kept in their rows: a few as they are, many as views of one mapped scratch file.

    So thousands take no memory either.
    """
    small = [update for update in updates if not update.blob]
    if sum(update.size_bytes for update in small) <= _IN_MEMORY_BYTES:
        held = {pk: memoryview(content) for pk, content in contents_of(small)}
    else:
        held = _on_disk(ports, small, stack)
    if len(held) < len(small):
        raise NotFound("the body of an update is gone")
    return held


def _on_disk(ports: Ports, small: list[Update], stack: ExitStack) -> dict[int, memoryview]:
    sizes = {}
    staging = stack.enter_context(Staging(ports.scratch, sum(u.size_bytes + _ALIGNMENT for u in small)))
    for pk, content in contents_of(small):
        sizes[pk] = len(content)
        staging.write(content + bytes(-len(content) % _ALIGNMENT))
    body = staging.finish(None)
    with body.path.open("rb") as file:
        view = memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
    views, at = {}, 0
    for pk, size in sizes.items():
        views[pk] = view[at : at + size]
        at += size + -size % _ALIGNMENT
    return views


def _weights(ports: Ports, base: Checkpoint, stack: ExitStack) -> Arrays:
    if base.size_bytes > _IN_MEMORY_BYTES:
        return _mapped(ports, base.blob, stack)
    return safetensors.decode(b"".join(ports.blobs.read(base.blob)), limits=ON_DISK)


def _mapped(ports: Ports, blob: str, stack: ExitStack) -> Arrays:
    """The tensors of a blob where they lie: the system reads what is asked for, and may drop it again.

    The mean of whole weights never looks at the model before it, which then costs no memory at all.
    """
    with _local(ports, blob, stack).open("rb") as file:
        return safetensors.decode(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ), limits=ON_DISK)


def _local(ports: Ports, blob: str, stack: ExitStack) -> Path:
    return stack.enter_context(ports.blobs.local(blob))


def _store(ports: Ports, current: Round, body: Staged) -> str:
    """Under a name that combining this round once more gives again: a crash before the switch leaves nothing behind.

    The name ends in the digest, by which participants check what a strategy sends them.
    """
    blob = f"projects/{current.project_id}/checkpoints/{current.number}-{body.digest}"
    ports.blobs.put_file(blob, body.path)
    return blob


def _store_moments(ports: Ports, current: Round, state: State, drafts: Drafts) -> str:
    """Keep what the strategy knows beyond the model; nothing where there is nothing."""
    if not state.moments:
        return ""
    with drafts.written(replace(state, weights=Arrays({})).to_tensors()) as body:
        return _store(ports, current, body)


def _switch(
    ports: Ports,
    job: Job,
    current: Round,
    updates: list[Update],
    model: Staged,
    blob: str,
    state_blob: str,
    now: datetime,
) -> None:
    with transaction.atomic():
        project = current.project = lock_project(current.project_id)
        jobs.complete(job)  # nobody else has moved the round since it was read: who does so takes the job over first
        current.metrics = metrics_of(updates)
        latest = find_latest_checkpoint(project) or current.base
        checkpoint = add_checkpoint(
            project=project,
            number=latest.number + 1,  # faces publish models of their own while a round is combined
            round_number=current.number,
            digest=model.digest,
            size_bytes=model.size_bytes,
            blob=blob,
            state_blob=state_blob,
            metrics=current.metrics,
            created_at=now,
        )
        with gathered(ports, project):
            close_complete(ports, project, current, checkpoint, now)
    log.info("round.closed", project=project.key, round=current.number, updates=len(updates))


def _fail(ports: Ports, job: Job, current: Round, exc: Exception, now: datetime) -> None:
    """What cannot be combined now never can: the round is invalid, and the project waits for an operator."""
    log.error("round.not_combined", project=current.project.key, round=current.number, error=str(exc))
    with transaction.atomic():
        jobs.complete(job)
        _close_uncombined(ports, current, str(exc), now)


def _close_uncombined(ports: Ports, current: Round, why: str, now: datetime) -> None:
    project = lock_project(current.project_id)
    current.refresh_from_db()
    if current.state is Phase.COMBINING:
        reason = Reason("not_combined", f"The updates could not be combined: {why}")
        close_invalid(ports, project, current, reason, now, give_up=True)
        advance(ports, project, now)
