"""Services as they were bought, kept by the id of their agreement for whoever resolves it."""

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from django.db import IntegrityError, transaction

from foedus.core.errors import Conflict, Invalid, NotFound
from foedus.core.market.documents import read_service
from foedus.records.market.models import BoughtService

_REQUIRED = ("agreementId", "type", "index", "serviceEndpoint", "templateId", "attributes")
MAX_FOUND = 100
_MAX_SEEN = 1_000


def agreement_of(text: Any) -> str:
    """An agreement's id as 64 digits, without prefix. Raises Invalid."""
    digits = text.removeprefix("0x").lower() if isinstance(text, str) else ""
    if len(digits) != 64 or not all(c in "0123456789abcdef" for c in digits):
        raise Invalid(f"an agreement's id has 64 hexadecimal digits, not {str(text)[:80]!r}", field="agreementId")
    return digits


def keep_service(fields: Mapping[str, Any], *, now: datetime) -> BoughtService:
    """Keep the service of an agreement. Raises Invalid naming what is missing, Conflict when it is kept already."""
    for key in _REQUIRED:
        if key not in fields:
            raise Invalid(f"the service has no {key!r}", field=key)
    read_service(fields, "service")
    try:
        with transaction.atomic():
            return BoughtService.objects.create(
                agreement=agreement_of(fields["agreementId"]),
                document=json.dumps(fields, ensure_ascii=False),
                created_at=now,
            )
    except IntegrityError as exc:
        raise Conflict("the service of this agreement is kept already") from exc


def get_service(agreement: str) -> BoughtService:
    """Raises NotFound."""
    service = BoughtService.objects.filter(agreement=agreement_of(agreement)).first()
    if service is None:
        raise NotFound("no service is kept for this agreement")
    return service


def find_services(wanted: Mapping[str, Any]) -> list[BoughtService]:
    """Among the newest services those whose document has all these values, by key; any, if an agreement is named.

    ``wanted`` may say so as search engines are asked: ``term``, ``match``, ``match_all``, and ``bool`` of these.
    """
    wanted = _values_of(wanted)
    rows = BoughtService.objects.order_by("-pk")
    if "agreementId" in wanted:
        rows = rows.filter(agreement=agreement_of(wanted["agreementId"]))
    rest = {key: value for key, value in wanted.items() if key != "agreementId"}
    return [service for service in rows[:_MAX_SEEN] if _says(service, rest)][:MAX_FOUND]


def _values_of(query: Mapping[str, Any]) -> dict[str, Any]:
    if len(query) != 1 or next(iter(query)) in _REQUIRED:
        return dict(query)
    ((kind, body),) = query.items()
    if kind == "match_all":
        return {}
    if kind in ("term", "match") and isinstance(body, dict) and len(body) == 1:
        ((path, value),) = body.items()
        given = value.get("value", value.get("query")) if isinstance(value, dict) else value
        return {path.removesuffix(".keyword"): given}
    if kind == "bool" and isinstance(body, dict) and not body.keys() - {"must", "filter"}:
        parts = [part for listed in body.values() for part in (listed if isinstance(listed, list) else [listed])]
        if all(isinstance(part, dict) for part in parts):
            return {key: value for part in parts for key, value in _values_of(part).items()}
    raise Invalid(
        "services are found by term or match of one key each, and by bool with must and filter of these", field="query"
    )


def _says(service: BoughtService, wanted: Mapping[str, Any]) -> bool:
    document = json.loads(service.document)
    return all(document.get(key) == value for key, value in wanted.items())
