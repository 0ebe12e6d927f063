"""How participants get in and out, and what they say while they work."""

from typing import Any

from django.http import HttpRequest
from django.utils import timezone
from ninja import Body, Query, Router, Status

from foedus.faces.native.answers.base import Listed, NothingOut
from foedus.faces.native.answers.contributions import HeartbeatOut
from foedus.faces.native.answers.people import EnrolledOut, KeyOut, KeysOut, MemberOut
from foedus.faces.native.auth import NativeRequest, maybe_authenticated
from foedus.faces.native.schemas import DeclineIn, EnrolIn, HeartbeatIn, KeysIn, Nothing, WindowIn
from foedus.services.learning import enrolment, leaving, reading, tasks

router = Router(tags=["participants"])


@router.post("/projects/{native_key:project}/enrolment-keys", response={201: KeysOut})
def make_enrolment_keys(request: NativeRequest, project: str, fields: Body[KeysIn] = KeysIn()) -> Any:  # noqa: B008 - frozen in effect: read once, never changed
    """One-time keys for new participants, shown this once."""
    made = enrolment.make_enrolment_keys(request.auth, project, fields.command(), now=timezone.now())
    return Status(201, KeysOut(items=[KeyOut.of(new) for new in made]))


@router.get("/projects/{native_key:project}/participants", response=Listed[MemberOut])
def list_participants(request: NativeRequest, project: str, window: Query[WindowIn]) -> Any:
    """The members of a project, and what is expected of each (operators)."""
    page = reading.list_participants(request.auth, project, window.window())
    return Listed[MemberOut](items=[MemberOut.of(item) for item in page.items], next=page.next)


@router.delete("/projects/{native_key:project}/participants/{native_id:participant}", response={204: None})
def remove_participant(request: NativeRequest, project: str, participant: int) -> Any:
    """End a membership; its open invitation is given up."""
    leaving.remove_participant(request.ports, request.auth, project, participant, now=timezone.now())
    return Status(204, None)


@router.post("/enrol", auth=None, response={201: EnrolledOut, 200: EnrolledOut})
def enrol(request: HttpRequest, fields: EnrolIn) -> Any:
    """Spend an enrolment key. With a participant's token, that participant joins one more project."""
    now = timezone.now()
    actor = maybe_authenticated(request, now=now)
    enrolled = enrolment.enrol(request.ports, actor, fields.command(), now=now)  # type: ignore[attr-defined] # the server's
    return Status(200 if enrolled.repeated else 201, EnrolledOut.of(enrolled))


@router.post("/projects/{native_key:project}/leave", response=NothingOut)
def leave(request: NativeRequest, project: str, fields: Body[Nothing] = Nothing()) -> NothingOut:  # noqa: ARG001, B008
    """Stop being a participant of a project; an open invitation is given up."""
    leaving.leave_project(request.ports, request.auth, project, now=timezone.now())
    return NothingOut()


@router.post("/projects/{native_key:project}/heartbeat", response=HeartbeatOut)
def heartbeat(request: NativeRequest, project: str, fields: Body[HeartbeatIn] = HeartbeatIn()) -> HeartbeatOut:  # noqa: B008
    """A sign of life; the answer says whether the round still waits for you."""
    is_open = tasks.heartbeat(request.ports, request.auth, project, fields.round, now=timezone.now())
    return HeartbeatOut(round_open=is_open)


@router.post("/projects/{native_key:project}/rounds/{native_number:number}/decline", response=NothingOut)
def decline(request: NativeRequest, project: str, number: int, fields: DeclineIn) -> NothingOut:
    """This task cannot be done here; the round stops waiting for you."""
    tasks.decline(request.ports, request.auth, project, number, fields.reason, now=timezone.now())
    return NothingOut()
