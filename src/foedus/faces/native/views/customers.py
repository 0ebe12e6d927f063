"""Customers: accounts that sign their requests, and whose projects keep statistics."""

from datetime import datetime
from typing import Any

from django.utils import timezone
from ninja import Router, Status

from foedus.faces.native.answers.base import Listed, Out
from foedus.faces.native.auth import NativeRequest
from foedus.faces.native.schemas import In, Seconds
from foedus.records.customers.models import Customer
from foedus.services.customers import accounts
from foedus.services.customers.accounts import AddCustomer

router = Router(tags=["statistics"])


class CustomerIn(In):
    cid: str
    secret_key: str | None = None
    legacy: bool = False
    expires_in_s: Seconds | None = None


class NewKeyOut(Out):
    """The secret key is shown this once."""

    cid: str
    secret_key: str
    expires_at: datetime | None


class CustomerOut(Out):
    cid: str
    legacy: bool
    created_at: datetime
    disabled_at: datetime | None
    valid_keys: int

    @classmethod
    def of(cls, value: Any) -> "CustomerOut":
        row: Customer = value
        now = timezone.now()
        valid = sum(key.expires_at is None or key.expires_at > now for key in row.keys.all())
        return cls(
            cid=row.cid, legacy=row.legacy, created_at=row.created_at, disabled_at=row.disabled_at, valid_keys=valid
        )


@router.post("/customers", response={201: NewKeyOut})
def add_customer(request: NativeRequest, fields: CustomerIn) -> Any:
    """A new account of your organisation."""
    command = AddCustomer(**fields.model_dump())
    return Status(201, NewKeyOut.of(accounts.add_customer(request.ports, request.auth, command, now=timezone.now())))


@router.get("/customers", response=Listed[CustomerOut])
def list_customers(request: NativeRequest) -> Any:
    """The accounts of your organisation, without their keys."""
    return Listed[CustomerOut](items=[CustomerOut.of(row) for row in accounts.list_customers(request.auth)], next=None)
