"""Asking cells, all at once and no longer than a deadline: those of other servers in threads, our own right here."""

import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial

from foedus.core.errors import PlatformError
from foedus.ports import Ports
from foedus.ports.cells import Cell, CellUnavailable, Form, Question
from foedus.ports.secrets import Secret
from foedus.records.fusion.models import FusionCell
from foedus.services.shell.staging import Staged, Staging

Local = Callable[[FusionCell, Secret, Question, Callable[[bytes], None]], Form]


@dataclass(slots=True)
class Said:
    """What a cell answered: something new, in ``staged``; that nothing changed; or nothing, because of ``error``."""

    cell: FusionCell
    secret: Secret
    staging: Staging = field(repr=False)
    form: Form | None = None
    staged: Staged | None = None
    error: PlatformError | None = None


def ask(
    ports: Ports, stack: ExitStack, cells: Sequence[tuple[FusionCell, Secret]], question: Question, local: Local
) -> list[Said]:
    """What each cell says; what they send lies on disk until ``stack`` is closed. ``local`` asks those of this server.

    Nobody waits longer than the question's seconds: a thread that is still at it then ends by itself a little later.
    """
    ends_at = time.monotonic() + question.seconds
    limit = ports.cells.terms.max_bytes
    said = [Said(cell, secret, stack.enter_context(Staging(ports.scratch, limit))) for cell, secret in cells]
    remote = [each for each in said if each.cell.url]
    with ExitStack() as threads:
        pool = ThreadPoolExecutor(max(1, len(remote)), thread_name_prefix="cells")
        threads.callback(pool.shutdown, wait=False, cancel_futures=True)
        futures = {id(each): pool.submit(_fetched, ports, each, question) for each in remote}
        for each in said:
            if not each.cell.url:
                own = _own(question, each.cell, max(0.0, ends_at - time.monotonic()))
                _settle(each, partial(local, each.cell, each.secret, own, each.staging.write))
        wait(futures.values(), timeout=max(0.0, ends_at - time.monotonic()))
        for each in remote:
            _settle(each, partial(_result, futures[id(each)]))
    return said


def _fetched(ports: Ports, said: Said, question: Question) -> Form:
    cell = said.cell
    address = Cell(cell.url, cell.customer, cell.project, said.secret)
    return ports.cells.fetch(address, _own(question, cell, question.seconds), said.staging.write)


def _own(question: Question, cell: FusionCell, seconds: float) -> Question:
    return Question(known=question.known or cell.digest, chain=question.chain, seconds=seconds)


def _result(future: Future[Form]) -> Form:
    if not future.done():
        raise CellUnavailable("the cell does not answer in time")
    return future.result()


def _settle(said: Said, form: Callable[[], Form]) -> None:
    try:
        said.form = form()
        if said.form is not Form.UNCHANGED:
            said.staged = said.staging.finish(None)
    except PlatformError as exc:
        said.error = exc
