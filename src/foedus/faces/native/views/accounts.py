"""Operators' tokens and the audit trail."""

from typing import Any

from django.utils import timezone
from ninja import Query, Router, Status

from foedus.faces.native.answers.base import Listed
from foedus.faces.native.answers.people import AuditOut, CredentialOut, IssuedOut
from foedus.faces.native.auth import NativeRequest
from foedus.faces.native.schemas import CredentialIn, WindowIn
from foedus.services.accounts import credentials
from foedus.services.shell import audit

router = Router(tags=["accounts"])


@router.post("/credentials", response={201: IssuedOut})
def create_credential(request: NativeRequest, fields: CredentialIn) -> Any:
    """Another operator token, shown this once."""
    issued = credentials.create_credential(request.auth, fields.name, fields.expires_in_s, now=timezone.now())
    return Status(201, IssuedOut.of(issued))


@router.get("/credentials", response=Listed[CredentialOut])
def list_credentials(request: NativeRequest, window: Query[WindowIn]) -> Any:
    """The operators' tokens that were not revoked, without the tokens themselves."""
    page = credentials.list_credentials(request.auth, window.window())
    return Listed[CredentialOut](items=[CredentialOut.of(item) for item in page.items], next=page.next)


@router.delete("/credentials/{native_id:credential}", response={204: None})
def revoke_credential(request: NativeRequest, credential: int) -> Any:
    """Let a token open nothing any more."""
    credentials.revoke_credential(request.auth, credential, now=timezone.now())
    return Status(204, None)


@router.get("/audit", response=Listed[AuditOut])
def list_audit(request: NativeRequest, window: Query[WindowIn]) -> Any:
    """Who did what to which object, newest first."""
    page = audit.list_entries(request.auth, window.window())
    return Listed[AuditOut](items=[AuditOut.of(item) for item in page.items], next=page.next)
