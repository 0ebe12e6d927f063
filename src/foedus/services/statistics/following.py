"""Following streams into statistics: what is learned of messages and how far they were read is one transaction.

A worker that dies, a broker that goes and comes back, two workers that follow the same stream: each message is in the
statistics once. Messages that cannot be learned are left out, one by one, and the stream's error log says why.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from django.db import transaction
from django.db.models import F

from foedus.core.errors import Conflict, PlatformError, Unavailable
from foedus.core.symetryml.rows import Rows
from foedus.ports import Ports
from foedus.ports.streams import Decoder, Message
from foedus.records.shell.models import Job
from foedus.records.sources.models import Stream, StreamError
from foedus.services.shell import jobs as shell
from foedus.services.statistics import learning, streams
from foedus.services.statistics.errors import Frozen, ProjectMissing
from foedus.services.statistics.taking import Gathered

TURNS = 20  # that a worker stays with one stream before others have their turn
WAIT_S = 1.0
PAUSE_S = 2.0  # after trouble
MAX_ERRORS = 10_000  # that are kept of a stream


class MovedOn(Conflict):
    """Somebody else has learned these messages meanwhile, or the stream was stopped."""


@dataclass(frozen=True, slots=True)
class _Following:
    ports: Ports
    row: Stream
    decode: Decoder
    now: datetime


def follow_stream(ports: Ports, job: Job, *, now: datetime) -> None:
    """Stay with a stream for a while, and promise to go on as long as it runs."""
    row = Stream.objects.select_related("project__customer").filter(pk=int(job.subject), running=True).first()
    trouble = "" if row is None else _stay(ports, row, shell.turns_of(job, now, TURNS), now)
    with transaction.atomic():
        current = Stream.objects.select_for_update().filter(pk=int(job.subject)).first()
        shell.complete(job)
        if current is not None and current.running:
            if trouble and trouble != current.trouble:
                StreamError.objects.create(stream=current, position=current.position, text=trouble, at=now)
            if trouble != current.trouble:
                Stream.objects.filter(pk=current.pk).update(trouble=trouble)
            streams.follow_on(ports, current, now, after_s=PAUSE_S if trouble else 0.0)


def _stay(ports: Ports, row: Stream, turns: int, now: datetime) -> str:
    """Learn what comes; why it does not go on, if it does not."""
    try:
        place = streams.place_of(ports, row)
        following = _Following(ports, row, ports.streams.decoder(place.info), now)
        with ports.streams.of(place.kind).follow(place.info, row.position) as follower:
            for _ in range(turns):
                messages = follower.take(timeout_s=WAIT_S)
                if messages:
                    _take(following, messages)
                elif not Stream.objects.filter(pk=row.pk, running=True).exists():
                    break
    except MovedOn:
        return ""
    except PlatformError as exc:
        return exc.message[:500]
    return ""


def _take(following: _Following, messages: Sequence[Message]) -> None:
    """All of them at once; halves of them where that fails, down to those that have to be left out."""
    try:
        _learn(following, messages)
    except (Unavailable, Frozen, ProjectMissing, MovedOn):
        raise
    except PlatformError as exc:
        if len(messages) == 1:
            with transaction.atomic():
                _move(following, messages, refused=1)
                _note(following.row, messages[0].position, exc.message, following.now)
        else:
            half = len(messages) // 2
            _take(following, messages[:half])
            _take(following, messages[half:])


def _learn(following: _Following, messages: Sequence[Message]) -> None:
    row = following.row
    gathered = Gathered(following.ports, row.project, row.letters)
    for rows in _alike([following.decode(message.data) for message in messages]):
        gathered.take(rows)
    before = row.position

    def also() -> None:
        row.position = before  # it may run again, after another change came first
        _move(following, messages, rows=gathered.harvest.rows, skipped=gathered.harvest.skipped)

    learning.change(following.ports, row.project, gathered.harvest, "learn", now=following.now, also=also)


def _move(
    following: _Following, messages: Sequence[Message], *, rows: int = 0, skipped: int = 0, refused: int = 0
) -> None:
    """Raises MovedOn when it was not where it is thought to be."""
    row, after = following.row, messages[-1].position
    moved = Stream.objects.filter(pk=row.pk, position=row.position, running=True).update(
        position=after, messages=F("messages") + len(messages), rows=F("rows") + rows,
        skipped=F("skipped") + skipped, refused=F("refused") + refused,
        size=F("size") + sum(len(message.data) for message in messages), latest_at=following.now, trouble="",
    )  # fmt: skip
    if not moved:
        raise MovedOn
    row.position = after


def _alike(found: Sequence[Rows]) -> list[Rows]:
    """Neighbours with the same attributes as one."""
    joined: list[Rows] = []
    for rows in found:
        last = joined[-1] if joined else None
        if last is not None and (last.names, last.letters) == (rows.names, rows.letters):
            last.data.extend(rows.data)
        else:
            joined.append(Rows(rows.names, list(rows.data), rows.letters))
    return joined


def _note(row: Stream, position: str, text: str, now: datetime) -> None:
    made = StreamError.objects.create(stream=row, position=position, text=text[:500], at=now)
    if made.pk % 100 == 0:
        kept = StreamError.objects.filter(stream=row).order_by("-pk").values_list("pk", flat=True)[MAX_ERRORS:][:1]
        for oldest in kept:
            StreamError.objects.filter(stream=row, pk__lte=oldest).delete()


def abandon_stream(ports: Ports, job: Job, *, now: datetime) -> None:  # noqa: ARG001 - as all of its kind
    """Stop a stream that was tried often enough, and say so."""
    text = "stopped after several attempts, for a reason that the server's log has; start it again"
    for row in Stream.objects.filter(pk=int(job.subject), running=True):
        Stream.objects.filter(pk=row.pk).update(running=False, trouble=text)
        _note(row, row.position, text, now)
