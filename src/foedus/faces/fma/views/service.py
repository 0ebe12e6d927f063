"""The root, tokens, files, and addresses that there are not."""

from collections.abc import Callable
from functools import cache
from typing import Any

from django.db.models import Model, QuerySet
from django.http import HttpResponseBase, StreamingHttpResponse
from django.http.response import HttpResponse

from foedus.core.codecs import safetensors
from foedus.core.errors import NotFound, Unauthenticated
from foedus.faces.fma.addresses import AGGREGATES, ARTIFACTS, ROOT, UPDATES
from foedus.faces.fma.auth import address_of, checked_login
from foedus.faces.fma.calls import Call
from foedus.faces.fma.errors import BadFields
from foedus.faces.fma.limits import LIMITS
from foedus.faces.fma.openapi import document
from foedus.faces.fma.parsing import body_of
from foedus.faces.fma.rendering import answer
from foedus.records.aggregation.models import ModelAggregate, ModelArtifact, ModelUpdate
from foedus.services.aggregation import files, tokens
from foedus.services.aggregation.access import (
    ANYBODY,
    Caller,
    found,
    readable_aggregates,
    readable_artifacts,
    readable_updates,
)
from foedus.services.aggregation.errors import CROSS_FIELD

COLLECTIONS = ("models", "model_updates", "model_aggregates", "client_aggregate_scores")
_JSON, _TENSORS = "json", "safetensors"
_KINDS: dict[str, tuple[Callable[[Caller], QuerySet[Any]], type[Model], Callable[[Any], files.Document]]] = {
    UPDATES: (readable_updates, ModelUpdate, files.of_update),
    AGGREGATES: (readable_aggregates, ModelAggregate, files.of_aggregate),
    ARTIFACTS: (readable_artifacts, ModelArtifact, files.of_artifact),
}


def root(call: Call) -> HttpResponseBase:
    return answer({name: call.addresses.of(f"/api/v1/{name}/") for name in COLLECTIONS})


def openapi(call: Call) -> HttpResponseBase:  # noqa: ARG001 - the same for everybody
    return answer(_description())


@cache
def _description() -> dict[str, Any]:
    return document()


def obtain_token(call: Call) -> HttpResponseBase:
    LIMITS.strangers.take(address_of(call.request), call.now.timestamp())
    with body_of(call) as body:
        fields = body.fields()
        username = fields.text("username", required=True)
        password = fields.text("password", required=True, max_characters=4096)
        fields.done()
        password = body.values["password"]
    try:
        user = checked_login(call.request, username, str(password))
    except Unauthenticated:
        raise BadFields({CROSS_FIELD: ["Unable to log in with provided credentials."]}) from None
    return answer({"token": tokens.token_of(call.ports, user, now=call.now)})


def get_file(call: Call, folder: str, pk: int, kind: str) -> HttpResponseBase:
    """Weights as a file, for those who may read what it belongs to, and whoever holds a signed address."""
    readable, model, document_of = _KINDS[folder]
    rows = model._default_manager.all() if _is_signed(call, folder, pk) else readable(call.caller)  # noqa: SLF001
    document = document_of(found(rows, pk))
    if kind == _TENSORS:
        if not document.form:
            raise NotFound("These weights are there as JSON only.")
        return StreamingHttpResponse(call.ports.blobs.read(document.blob), content_type=safetensors.MEDIA_TYPE)
    # Never rendered as a page, whatever a stranger wrote into it.
    return StreamingHttpResponse(files.Pieces(call.ports, document), content_type="application/octet-stream")


def nowhere(call: Call, **arguments: str) -> HttpResponse:  # noqa: ARG001
    """There is nothing at this address."""
    raise NotFound


def _is_signed(call: Call, folder: str, pk: int) -> bool:
    """Whether the address opens by itself. Raises Unauthenticated when its signature is wrong, or has expired."""
    signature = call.request.GET.get("signature")
    if signature is None or call.caller is not ANYBODY:
        return False
    address = f"{ROOT}{folder}/{pk}.json"
    files.check_signature(call.ports, address, call.request.GET.get("expires", ""), signature, now=call.now)
    return True
