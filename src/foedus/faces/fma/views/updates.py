"""Updates of models."""

from typing import Any

from django.db.models import QuerySet
from django.http import HttpResponse, HttpResponseBase

from foedus.faces.fma.answers import update_out
from foedus.faces.fma.calls import Call
from foedus.faces.fma.errors import BadFields
from foedus.faces.fma.fields import MISSING
from foedus.faces.fma.lists import Filters, Paging
from foedus.faces.fma.parsing import body_of
from foedus.faces.fma.rendering import answer
from foedus.records.aggregation.models import FederatedModel, ModelUpdate
from foedus.records.aggregation.queries import showing, with_shown_status
from foedus.services.aggregation import updates
from foedus.services.aggregation.access import found, owned, readable_updates, require_known

_PAGING = Paging()
NO_FILE = "No file was submitted."


def list_updates(call: Call) -> HttpResponseBase:
    rows, filters = readable_updates(call.caller), Filters(call.request.GET)
    model = filters.row("federated_model", FederatedModel.objects.all())
    status = filters.choice("status", tuple(ModelUpdate.Status.values))
    if model is not None:
        rows = rows.filter(federated_model=model)
    if status is not None:
        rows = showing(rows, status)
    for_client = call.caller.client is not None
    page = _PAGING.page(with_shown_status(rows), call.request.GET)
    return answer([update_out(row, row.shown, call.addresses, for_client=for_client) for row in page])  # type: ignore[attr-defined] # annotated


def create_update(call: Call) -> HttpResponseBase:
    require_known(call.caller)
    with body_of(call, weights="data") as body:
        fields = body.fields()
        model = fields.key("federated_model", required=True)
        base = fields.key("base_aggregate", null=True)
        examples, metrics = fields.number("examples", positive=True), fields.json("metrics")
        client: Any = MISSING if call.caller.client is not None else fields.uuid("client", required=True)
        if body.weights is None:
            fields.fail("data", NO_FILE)
        fields.done()
        assert body.weights is not None, "it was looked at above"  # noqa: S101
        command = updates.SubmitUpdate(
            federated_model=model,
            base_aggregate=None if base is MISSING else base,
            client=None if client is MISSING else client,
            examples=1.0 if examples in (MISSING, None) else examples,
            metrics={} if metrics in (MISSING, None) else metrics,
        )
        row = updates.submit_update(call.ports, call.caller, command, body.weights, now=call.now)
    return _answered(call, row.pk, status=201)


def get_update(call: Call, pk: int) -> HttpResponseBase:
    return _answered(call, pk)


def put_update(call: Call, pk: int) -> HttpResponseBase:
    return _change(call, pk, partial=False)


def patch_update(call: Call, pk: int) -> HttpResponseBase:
    return _change(call, pk, partial=True)


def delete_update(call: Call, pk: int) -> HttpResponseBase:
    updates.delete_update(call.ports, call.caller, pk, now=call.now)
    return HttpResponse(status=204)


def _change(call: Call, pk: int, *, partial: bool) -> HttpResponseBase:
    """An update stays with its model and its client; ``status`` and ``applied_aggregate`` are not to be set."""
    row = owned(call.caller, readable_updates(call.caller), pk)
    with body_of(call, weights="data") as body:
        fields = body.fields(partial=partial)
        model = fields.key("federated_model", required=True)
        base = fields.key("base_aggregate", null=True)
        client = fields.uuid("client", required=True)
        if body.weights is None and not partial:
            fields.fail("data", NO_FILE)
        fields.done()
        if model not in (MISSING, row.federated_model_id):
            raise BadFields({"federated_model": ["An update cannot be moved to another model."]})
        if client not in (MISSING, row.client_id):
            raise BadFields({"client": ["An update cannot be given to another client."]})
        changes = {} if base is MISSING else {"base_aggregate": base}
        updates.change_update(call.ports, call.caller, pk, changes, body.weights, now=call.now)
    return _answered(call, pk)


def _answered(call: Call, pk: int, status: int = 200) -> HttpResponseBase:
    rows: QuerySet[ModelUpdate] = with_shown_status(readable_updates(call.caller))
    row = found(rows, pk)
    shown: int = row.shown  # type: ignore[attr-defined] # annotated
    return answer(update_out(row, shown, call.addresses, for_client=call.caller.client is not None), status)
