"""Aggregates of models."""

from django.http import HttpResponse, HttpResponseBase

from foedus.faces.fma.addresses import AGGREGATES
from foedus.faces.fma.answers import after_result, aggregate_out, aggregates_out, artifact_out
from foedus.faces.fma.calls import Call
from foedus.faces.fma.errors import BadFields
from foedus.faces.fma.fields import MISSING, REQUIRED
from foedus.faces.fma.lists import Filters, Paging
from foedus.faces.fma.parsing import body_of
from foedus.faces.fma.rendering import answer, answer_with
from foedus.records.aggregation.models import FederatedModel
from foedus.services.aggregation import aggregates, files
from foedus.services.aggregation.access import found, owned, readable_aggregates, require_user
from foedus.services.aggregation.tree import places

_PAGING = Paging(orders=("created_on", "validation_score"))
_NOT_A_FILE = "The submitted data was not a file. Check the encoding type on the form."


def list_aggregates(call: Call) -> HttpResponseBase:
    rows = readable_aggregates(call.caller)
    model = Filters(call.request.GET).row("federated_model", FederatedModel.objects.all())
    if model is not None:
        rows = rows.filter(federated_model=model)
    return answer(aggregates_out(_PAGING.page(rows, call.request.GET), call.addresses))


def create_aggregate(call: Call) -> HttpResponseBase:
    """A developer's own weights, as a file."""
    require_user(call.caller)
    with body_of(call, weights="result") as body:
        fields = body.fields()
        model = fields.key("federated_model", required=True)
        parent = fields.key("parent", null=True)
        score = fields.number("validation_score")
        if body.weights is None:
            fields.fail("result", "No file was submitted.")
        elif not body.is_file:
            fields.fail("result", _NOT_A_FILE)
        fields.done()
        assert body.weights is not None, "it was looked at above"  # noqa: S101
        command = aggregates.UploadAggregate(
            federated_model=model,
            parent=None if parent is MISSING else parent,
            validation_score=None if score is MISSING else score,
        )
        row = aggregates.upload_aggregate(call.ports, call.caller, command, body.weights, now=call.now)
    return answer(aggregate_out(row, call.addresses.absolute(AGGREGATES, row.pk)), status=201)


def get_aggregate(call: Call, pk: int) -> HttpResponseBase:
    """With its weights in the answer."""
    row = found(readable_aggregates(call.caller), pk)
    pieces = files.Pieces(call.ports, files.of_aggregate(row))
    return answer_with({"id": row.pk}, "result", pieces, after_result(row, places([row])))


def change_aggregate(call: Call, pk: int) -> HttpResponseBase:
    """The score is all that may be changed: weights that others trained from stay what they were."""
    row = owned(call.caller, readable_aggregates(call.caller), pk)
    with body_of(call) as body:
        fields = body.fields(partial=True)
        score = fields.number("validation_score")
        fields.done()
        if "result" in body.values:
            raise BadFields({"result": ["The weights of an aggregate do not change; upload another one."]})
        if score is not MISSING:
            row = aggregates.score_aggregate(call.caller, pk, score, now=call.now)
    return answer(aggregate_out(row, call.addresses.absolute(AGGREGATES, row.pk)))


def delete_aggregate(call: Call, pk: int) -> HttpResponseBase:
    aggregates.delete_aggregate(call.ports, call.caller, pk, now=call.now)
    return HttpResponse(status=204)


def publish_aggregate(call: Call, pk: int) -> HttpResponseBase:
    owned(call.caller, readable_aggregates(call.caller), pk)
    with body_of(call) as body:
        fields = body.fields()
        version = fields.text("version", required=True)
        fields.done()
    if not isinstance(version, str):
        raise BadFields({"version": [REQUIRED]})
    row = aggregates.publish_aggregate(call.ports, call.caller, pk, version, now=call.now)
    return answer(artifact_out(row, call.addresses), status=201)
