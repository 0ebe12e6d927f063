"""Who was asked to train for a round, and how that was decided."""

from typing import Any

from ninja import Query, Router

from foedus.faces.native.answers.base import Listed
from foedus.faces.native.answers.sampling import DrawOut, InvitationOut
from foedus.faces.native.auth import NativeRequest
from foedus.faces.native.schemas import WindowIn
from foedus.services.learning import reading

router = Router(tags=["projects"])
_ROUND = "/projects/{native_key:project}/rounds/{native_number:number}"


@router.get(f"{_ROUND}/invitations", response=Listed[InvitationOut])
def list_invitations(request: NativeRequest, project: str, number: int, window: Query[WindowIn]) -> Any:
    """Who was asked to train for a round, and what came of it (operators)."""
    page = reading.list_invitations(request.auth, project, number, window.window())
    return Listed[InvitationOut](items=[InvitationOut.of(item) for item in page.items], next=page.next)


@router.get(f"{_ROUND}/draws", response=Listed[DrawOut])
def list_draws(request: NativeRequest, project: str, number: int, window: Query[WindowIn]) -> Any:
    """How a round chose among those that were ready, in the order of the draws (operators)."""
    page = reading.list_draws(request.auth, project, number, window.window())
    return Listed[DrawOut](items=[DrawOut.of(item) for item in page.items], next=page.next)
