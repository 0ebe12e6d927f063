"""Streams of projects: told, kept sealed, started and stopped, looked into."""

import json
from datetime import datetime
from itertools import islice
from uuid import uuid4

from django.db import IntegrityError, transaction

from foedus.core.errors import Conflict, Invalid
from foedus.core.symetryml.rows import Rows
from foedus.ports import Ports
from foedus.ports.sources import Listing
from foedus.ports.streams import BEGINNING
from foedus.records.sources.models import Stream, StreamError
from foedus.records.statistics.models import StatisticsProject
from foedus.services.shell import jobs as shell
from foedus.services.shell.events import wake
from foedus.services.shell.sealing import seal, unseal
from foedus.services.statistics.errors import StreamMissing, StreamTaken
from foedus.services.statistics.jobs import FOLLOW_JOB
from foedus.services.statistics.projects import check_name
from foedus.services.statistics.sources import PREVIEW_ROWS, Place

PURPOSE = "streams"
MAX_STREAMS = 100  # of one project
SHOWN_ERRORS = 1_000
_PREVIEW_WAIT_S = 2.0


def create_stream(
    ports: Ports, project: StatisticsProject, place: Place, *, from_beginning: bool, now: datetime
) -> Stream:
    """A stream that is not yet started. Unless ``from_beginning``, what is in it by now stays out.

    Raises Invalid, StreamTaken, and what the stream raises.
    """
    check_name(place.name)
    ports.streams.decoder(place.info)
    kind = ports.streams.of(place.kind)
    if Stream.objects.filter(project=project).count() >= MAX_STREAMS:
        raise Conflict(f"a project has at most {MAX_STREAMS} streams")
    position = BEGINNING if from_beginning else kind.latest(place.info)
    key = uuid4().hex
    said = json.dumps({"info": dict(place.info)}).encode()
    row = Stream(
        project=project, name=place.name, key=key, kind=place.kind, position=position, created_at=now,
        sealed=seal(ports, said, purpose=PURPOSE, about=key), letters=_letters(place),
    )  # fmt: skip
    try:
        with transaction.atomic():
            row.save(force_insert=True)
    except IntegrityError:
        raise StreamTaken(stream=place.name) from None
    return row


def start_stream(ports: Ports, project: StatisticsProject, name: str, *, now: datetime) -> None:
    """Raises StreamMissing."""
    with transaction.atomic():
        row = find_stream(project, name, lock=True)
        Stream.objects.filter(pk=row.pk).update(running=True, trouble="")
        follow_on(ports, row, now)


def follow_on(ports: Ports, row: Stream, now: datetime, *, after_s: float = 0.0) -> None:
    """Promise to follow it, in the caller's transaction, which holds the stream's lock."""
    shell.enqueue(ports, FOLLOW_JOB, str(row.pk), now, after_s=after_s)
    wake(ports, shell.LONG_SUBJECT)


def stop_stream(project: StatisticsProject, name: str) -> None:
    """What is under way is still learned, or not at all. Raises StreamMissing."""
    with transaction.atomic():
        row = find_stream(project, name, lock=True)
        Stream.objects.filter(pk=row.pk).update(running=False, trouble="")


def delete_stream(project: StatisticsProject, name: str) -> None:
    """What was learned stays. Raises StreamMissing."""
    with transaction.atomic():
        find_stream(project, name, lock=True).delete()


def find_stream(project: StatisticsProject, name: str, *, lock: bool = False) -> Stream:
    """Raises StreamMissing."""
    rows = Stream.objects.select_for_update() if lock else Stream.objects
    row = rows.filter(project=project, name=name).first()
    if row is None:
        raise StreamMissing(stream=name[:200])
    return row


def list_streams(project: StatisticsProject) -> list[Stream]:
    """A project's streams by name."""
    return list(Stream.objects.filter(project=project).defer("sealed").order_by("name"))


def errors_of(stream: Stream) -> list[StreamError]:
    """The latest first, at most a thousand."""
    return list(StreamError.objects.filter(stream=stream).order_by("-pk")[:SHOWN_ERRORS])


def place_of(ports: Ports, row: Stream) -> Place:
    """What the customer said of it."""
    said = json.loads(unseal(ports, bytes(row.sealed), purpose=PURPOSE, about=row.key))
    return Place(row.kind, row.name, said["info"])


def preview(ports: Ports, place: Place) -> Rows:
    """The rows of the first messages that have the attributes of the first. Raises what the stream raises, Invalid."""
    decode = ports.streams.decoder(place.info)
    with ports.streams.of(place.kind).follow(place.info, BEGINNING) as follower:
        found = [decode(message.data) for message in follower.take(timeout_s=_PREVIEW_WAIT_S)]
    if not found:
        return Rows((), [])
    alike = (row for rows in found if rows.names == found[0].names for row in rows.data)
    return Rows(found[0].names, list(islice(alike, PREVIEW_ROWS)), found[0].letters)


def browse(ports: Ports, place: Place) -> Listing:
    """What there is to follow. Raises what the stream raises."""
    return ports.streams.of(place.kind).browse(place.info)


def _letters(place: Place) -> dict[str, str]:
    """Types that come with the stream: ``attributeNames`` and ``attributeTypes``, each separated by commas."""
    names = [each.strip() for each in place.info.get("attributeNames", "").split(",") if each.strip()]
    letters = [each.strip() for each in place.info.get("attributeTypes", "").split(",") if each.strip()]
    if letters and len(letters) != len(names):
        raise Invalid("attributeTypes has a letter for each of attributeNames")
    return dict(zip(names, letters, strict=False))
