"""Running an execution: fetching what it reads, waiting for its end, publishing what it left, settling its money.

Every step may be taken again by another worker: the run is named after the execution, files of results after their
content, and the money's steps are those of the ledger. So whoever is killed at whatever moment loses nothing.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory

import structlog
from django.db import transaction

from foedus.core.errors import Conflict, Invalid, NotFound, PlatformError, Unavailable
from foedus.core.market.assets import Algorithm, Stage, Workflow, read_asset
from foedus.core.market.dids import Did
from foedus.core.market.documents import Document
from foedus.core.market.fitting import container_of, server_of, size_of, stage_of
from foedus.core.market.offers import Offer, Server
from foedus.ports import Ports
from foedus.ports.compute import Image, InputFile, Job, Limits, Phase, Run
from foedus.records.market.models import Asset, Execution
from foedus.records.market.queries import get_asset
from foedus.records.shell.models import Job as Promise
from foedus.services.market.agreements import offer_of
from foedus.services.market.catalogue import document_of
from foedus.services.market.executions import keep_log
from foedus.services.market.files import Room, files_of, save
from foedus.services.market.joining import session_joined
from foedus.services.market.outcomes import check_payable, end, pay_on_start, settle
from foedus.services.market.publishing import publish_results
from foedus.services.shell import jobs

log = structlog.get_logger()

_LOOK_EVERY_S = 3600.0  # a run's end is told at once; this is for whatever may lose that word
_DEFAULT = Limits()


def run(ports: Ports, job: Promise, *, max_input_bytes: int, now: datetime) -> None:
    """A worker's job from start to settlement; it is done when the execution is over and its money where it belongs.

    What it reads has at most ``max_input_bytes``, data and program together.
    """
    execution = Execution.objects.select_related("purchase__asset").get(execution=job.subject)
    offer = offer_of(execution.purchase)
    if not execution.is_over:
        end(execution, *_outcome(ports, execution, offer, max_input_bytes, now))
    settle(ports, execution)
    keep_log(ports, execution)
    ports.compute.remove(execution.execution)
    with transaction.atomic():
        jobs.complete(job)


def abandon(ports: Ports, job: Promise, *, now: datetime) -> None:  # noqa: ARG001 - as all that are given up
    """What could not even be tried is an error of ours, and costs nothing."""
    execution = Execution.objects.select_related("purchase__asset").get(execution=job.subject)
    if not execution.is_over:
        end(execution, Execution.State.ERROR, "the node could not run it; its log says why", "")
    settle(ports, execution)
    keep_log(ports, execution)
    ports.compute.remove(execution.execution)


def _outcome(
    ports: Ports, execution: Execution, offer: Offer, max_input_bytes: int, now: datetime
) -> tuple[str, str, str]:
    """State, reason, and the DID of what was published. Raises Unavailable where it is worth trying again."""
    try:
        ended = _ended(ports, execution, offer, max_input_bytes, now)
        if ended.phase is not Phase.SUCCEEDED:
            return ended.phase.value, ended.reason, ""
        check_payable(ports, execution)
        output = publish_results(ports, execution) if _publishes(execution) else ""
    except Unavailable:
        raise
    except PlatformError as exc:
        log.warning("execution.failed", execution=execution.execution, error=exc.code)
        return Execution.State.FAILED, exc.message, ""
    return ended.phase.value, ended.reason, output


def _ended(ports: Ports, execution: Execution, offer: Offer, max_input_bytes: int, now: datetime) -> Run:
    try:
        run = ports.compute.find(execution.execution)
    except NotFound:
        with _staged(ports, execution, offer, max_input_bytes) as wanted:
            run = ports.compute.start(wanted)
    begun = Execution.objects.filter(pk=execution.pk, state=Execution.State.PENDING)
    begun.update(state=Execution.State.RUNNING, started_at=now)
    _keep_reach(execution, run)
    execution.refresh_from_db()
    if execution.is_over:
        raise Conflict("it was stopped before it began")
    if offer.release_policy == "onStart" and run.phase is not Phase.ERROR:
        pay_on_start(ports, execution)
    while not run.is_over:
        run = ports.compute.wait(execution.execution, _LOOK_EVERY_S)
    _keep_reach(execution, run)
    return run


def _keep_reach(execution: Execution, run: Run) -> None:
    """Keep what the run could reach, which its place forgets together with the run."""
    if run.open_to:
        Execution.objects.filter(pk=execution.pk).update(open_to="\n".join(run.open_to))


@contextmanager
def _staged(ports: Ports, execution: Execution, offer: Offer, max_input_bytes: int) -> Iterator[Job]:
    stage, algorithm, program = _plan(execution, offer)
    server = server_of(stage.requirements, offer)
    container = container_of(stage.container, offer)
    with TemporaryDirectory(dir=ports.scratch) as folder:
        inputs, programs = (Path(folder, name) for name in ("inputs", "programs"))
        inputs.mkdir()
        programs.mkdir()
        data = [get_asset(each.did) for each in stage.inputs if each.did]
        room = Room.on(ports.scratch, max_input_bytes)
        joined = session_joined(ports, execution)
        yield Job(
            id=execution.execution,
            script=algorithm.entrypoint or "exit 0",
            image=Image(container.image, container.checksum) if container and container.checksum else None,
            inputs=_saved(ports, data, inputs, room),
            programs=_saved(ports, [program], programs, room),
            environment={
                "EXECUTION_ID": execution.execution,
                **({"NEVERMINED_SESSION_ID": joined.id} if joined else {}),
            },
            limits=_limits(server),
            session=joined.session if joined else None,
        )


def _plan(execution: Execution, offer: Offer) -> tuple[Stage, Algorithm, Asset]:
    workflow = read_asset(Document.read(execution.document.encode()))
    assert isinstance(workflow, Workflow)  # noqa: S101 - it was checked before it was kept
    stage = stage_of(workflow, offer, Did(bytes.fromhex(execution.purchase.asset.did)))
    assert stage.transformation is not None  # noqa: S101 - likewise
    program = get_asset(stage.transformation)
    algorithm = read_asset(document_of(program))
    if not isinstance(algorithm, Algorithm):
        raise Invalid(f"{program} is no algorithm", field="transformation")
    return stage, algorithm, program


def _publishes(execution: Execution) -> bool:
    workflow = read_asset(Document.read(execution.document.encode()))
    return isinstance(workflow, Workflow) and workflow.stages[0].publishes


def _saved(ports: Ports, assets: list[Asset], folder: Path, room: Room) -> tuple[InputFile, ...]:
    found = [location for asset in assets for location in files_of(ports, document_of(asset), asset.owner)]
    return tuple(
        InputFile(location.name, save(ports, location, folder / str(place), room))
        for place, location in enumerate(found)
    )


def _limits(server: Server) -> Limits:
    return Limits(
        cpus=size_of(server.cpu, "cpu") if server.cpu else _DEFAULT.cpus,
        memory_bytes=int(size_of(server.memory, "memory")) if server.memory else _DEFAULT.memory_bytes,
        disk_bytes=int(size_of(server.disk, "disk")) if server.disk else _DEFAULT.disk_bytes,
        seconds=server.max_seconds or _DEFAULT.seconds,
    )
