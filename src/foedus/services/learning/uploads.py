"""Large bodies in parts, so that a cut costs a part and not the whole."""

from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from uuid import uuid4

from django.db import transaction

from foedus.core.errors import Conflict, Invalid, NotFound, TooLarge
from foedus.ports import Ports
from foedus.ports.blobs import BlobInfo
from foedus.records.learning.models import Membership, Project, Update, Upload
from foedus.services.learning.bases import layout_of
from foedus.services.learning.equipment import needs_now, wanted_under
from foedus.services.learning.submitting import submit_update
from foedus.services.learning.updates import SubmitUpdate, check_same
from foedus.services.shell.authorisation import Actor, Verb, membership_of
from foedus.services.shell.staging import Staged, staged

LIFETIME = timedelta(days=1)
MAX_OPEN_UPLOADS = 4


def begin_upload(actor: Actor, key: str, digest: str, size_bytes: int, *, now: datetime) -> tuple[Upload, bool]:
    """An upload for a body of that digest and size; the one under way if there is one. Raises TooLarge, Conflict."""
    project, membership = _member(actor, key)
    limit = wanted_under(layout_of(project), project, needs_now(project)).size_bytes
    if size_bytes > limit:
        raise TooLarge(f"an update of this project has at most {limit} bytes, not {size_bytes}", limit_bytes=limit)
    if size_bytes < 1:
        raise Invalid("size_bytes must be 1 or more", field="size_bytes")
    with transaction.atomic():
        Membership.objects.select_for_update().get(pk=membership.pk)
        mine = Upload.objects.filter(membership=membership, update=None)
        under_way = mine.filter(digest=digest).first()
        if under_way is not None:
            if under_way.size_bytes != size_bytes:
                raise Conflict("an upload of this digest and another size is under way; one of the two is wrong")
            return under_way, False
        if mine.count() >= MAX_OPEN_UPLOADS:
            raise Conflict(f"you have {MAX_OPEN_UPLOADS} uploads under way; finish one or let it expire")
        return Upload.objects.create(
            id=uuid4().hex, membership=membership, digest=digest, size_bytes=size_bytes,
            created_at=now, expires_at=now + LIFETIME,
        ), True  # fmt: skip


def get_upload(actor: Actor, key: str, upload_id: str, *, now: datetime) -> Upload:
    """How far an upload is. Raises NotFound for another's, and for one that expired."""
    _, membership = _member(actor, key)
    found = Upload.objects.filter(pk=upload_id, membership=membership, expires_at__gt=now).first()
    if found is None:
        raise NotFound("there is no such upload; it may have expired: begin again", upload=upload_id[:32])
    return found


def append_part(
    ports: Ports, actor: Actor, key: str, upload_id: str, offset: int, part: Staged, *, now: datetime
) -> Upload:
    """Add the bytes that begin at ``offset``. Raises NotFound; Conflict with the offset that would be right."""
    upload = get_upload(actor, key, upload_id, now=now)
    if offset + part.size_bytes > upload.size_bytes:
        raise TooLarge(f"the upload was announced with {upload.size_bytes} bytes", limit_bytes=upload.size_bytes)
    blob = f"{upload.prefix}{offset:020d}-{uuid4().hex[:8]}"
    if part.size_bytes:
        ports.blobs.put_file(blob, part.path)
    moved = Upload.objects.filter(pk=upload.pk, offset=offset).update(offset=offset + part.size_bytes)
    if not moved:
        ports.blobs.delete(blob)
        upload = get_upload(actor, key, upload_id, now=now)  # it may be gone by now
        raise Conflict(f"the upload stands at {upload.offset}, not at {offset}", offset=upload.offset)
    if part.size_bytes:
        _drop_strays(ports, upload, offset, blob)
    upload.offset = offset + part.size_bytes
    return upload


@contextmanager
def assembled(ports: Ports, upload: Upload) -> Iterator[Staged]:
    """The whole body as one file. Raises Conflict while bytes are missing, Invalid when the digest is another one."""
    if upload.offset != upload.size_bytes:
        raise Conflict(
            f"the upload is not complete: {upload.offset} of {upload.size_bytes} bytes", offset=upload.offset
        )
    with staged(ports.scratch, _bytes(ports, upload), upload.size_bytes, upload.digest) as body:
        yield body


def submit_upload(
    ports: Ports, actor: Actor, command: SubmitUpdate, upload_id: str, *, now: datetime
) -> tuple[Update, bool]:
    """Hand in what was uploaded. Gives the update and whether it is new; an upload stands for one update only.

    Raises Conflict while bytes are missing or when it was handed in for another round, and what submit_update raises.
    """
    upload = get_upload(actor, command.project, upload_id, now=now)
    if (known := _find_update(upload, command)) is not None:
        return known, False
    try:
        with assembled(ports, upload) as body:
            update, is_new = submit_update(ports, actor, command, body, now=now)
    except (Invalid, NotFound):
        # The same call, made twice at once: the other one may have won, and taken the parts away.
        if (known := _find_update(upload, command)) is not None:
            return known, False
        raise
    Upload.objects.filter(pk=upload.pk).update(update=update)
    _delete_parts(ports, upload)
    return update, is_new


def discard(ports: Ports, upload: Upload) -> None:
    """Forget an upload and its parts."""
    Upload.objects.filter(pk=upload.pk).delete()
    _delete_parts(ports, upload)


def discard_expired(ports: Ports, now: datetime) -> None:
    """Forget the uploads that nobody finished."""
    for upload in Upload.objects.filter(expires_at__lte=now)[:100]:
        discard(ports, upload)


def _find_update(upload: Upload, command: SubmitUpdate) -> Update | None:
    """What the upload became, if it was handed in. Raises Conflict when that was said otherwise."""
    update = (
        Update.objects.select_related("membership__participant", "round")
        .filter(pk__in=Upload.objects.filter(pk=upload.pk, update__isnull=False).values("update"))
        .first()
    )
    if update is None:
        return None
    if update.task_round != command.round:
        raise Conflict(f"this upload was handed in for round {update.task_round}; begin another one")
    check_same(update, command)
    return update


def _delete_parts(ports: Ports, upload: Upload) -> None:
    ports.blobs.delete(*[blob.key for blob in ports.blobs.list(upload.prefix)])


def _bytes(ports: Ports, upload: Upload) -> Iterator[bytes]:
    """The parts that follow each other to the end.

    A process that was killed, or that lost against another one, may have left a part that was never counted.
    """
    parts: defaultdict[int, list[BlobInfo]] = defaultdict(list)
    for blob in ports.blobs.list(upload.prefix):
        parts[int(blob.key.removeprefix(upload.prefix).split("-")[0])].append(blob)
    at = 0
    while at < upload.size_bytes:
        fitting = [b for b in parts[at] if at + b.size_bytes in parts or at + b.size_bytes == upload.size_bytes]
        if not fitting:
            raise NotFound("a part of the upload is gone: begin another one")
        yield from ports.blobs.read(fitting[0].key)
        at += fitting[0].size_bytes


def _drop_strays(ports: Ports, upload: Upload, offset: int, kept: str) -> None:
    """Remove parts of the same offset that a killed process wrote and never counted."""
    parts = ports.blobs.list(f"{upload.prefix}{offset:020d}-")
    ports.blobs.delete(*[blob.key for blob in parts if blob.key != kept])


def _member(actor: Actor, key: str) -> tuple[Project, Membership]:
    membership = membership_of(actor, Verb.WORK, key)
    return membership.project, membership
