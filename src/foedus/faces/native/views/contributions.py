"""Uploads, the updates made of them, and scores."""

from typing import Any

from django.utils import timezone
from ninja import Query, Router, Status

from foedus.faces.native.answers.base import Listed
from foedus.faces.native.answers.contributions import ReceiptOut, ScoreOut, UploadOut
from foedus.faces.native.auth import NativeRequest
from foedus.faces.native.schemas import ScoreIn, ScoresIn, UpdateIn, UploadIn
from foedus.services.learning import reading, scoring, uploads

router = Router(tags=["contributions"])


@router.post("/projects/{native_key:project}/uploads", response={201: UploadOut, 200: UploadOut})
def begin_upload(request: NativeRequest, project: str, fields: UploadIn) -> Any:
    """Announce a large body that will come in parts."""
    now = timezone.now()
    upload, is_new = uploads.begin_upload(request.auth, project, fields.digest, fields.size_bytes, now=now)
    return Status(201 if is_new else 200, UploadOut.of(upload))


@router.get("/projects/{native_key:project}/uploads/{native_upload:upload}", response=UploadOut)
def get_upload(request: NativeRequest, project: str, upload: str) -> UploadOut:
    """How far an upload is."""
    return UploadOut.of(uploads.get_upload(request.auth, project, upload, now=timezone.now()))


@router.post(
    "/projects/{native_key:project}/rounds/{native_number:number}/update", response={201: ReceiptOut, 200: ReceiptOut}
)
def submit_upload(request: NativeRequest, project: str, number: int, fields: UpdateIn) -> Any:
    """Hand in an update whose bytes were uploaded before."""
    command = fields.command(project, number)
    update, is_new = uploads.submit_upload(request.ports, request.auth, command, fields.upload, now=timezone.now())
    return Status(201 if is_new else 200, ReceiptOut.of(update))


@router.post(
    "/projects/{native_key:project}/checkpoints/{native_number:number}/scores", response={201: ScoreOut, 200: ScoreOut}
)
def report_score(request: NativeRequest, project: str, number: int, fields: ScoreIn) -> Any:
    """Say how good a checkpoint is on your data."""
    score, is_new = scoring.report_score(
        request.ports, request.auth, project, number, fields.metrics, fields.examples, now=timezone.now()
    )
    return Status(201 if is_new else 200, ScoreOut.of(score))


@router.get("/projects/{native_key:project}/scores", response=Listed[ScoreOut])
def list_scores(request: NativeRequest, project: str, wanted: Query[ScoresIn]) -> Any:
    """What was said of a checkpoint, or of all (operators)."""
    page = reading.list_scores(request.auth, project, wanted.checkpoint, wanted.window())
    return Listed[ScoreOut](items=[ScoreOut.of(item) for item in page.items], next=page.next)
