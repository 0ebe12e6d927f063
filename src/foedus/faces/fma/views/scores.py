"""Clients' scores of aggregates."""

from django.http import HttpResponse, HttpResponseBase

from foedus.faces.fma.answers import score_out, scores_out
from foedus.faces.fma.calls import Call
from foedus.faces.fma.errors import BadFields
from foedus.faces.fma.fields import MISSING
from foedus.faces.fma.lists import Filters, Paging
from foedus.faces.fma.parsing import body_of
from foedus.faces.fma.rendering import answer
from foedus.records.aggregation.models import Client, ModelAggregate
from foedus.services.aggregation import scores
from foedus.services.aggregation.access import found, owned, readable_scores, require_known

_PAGING = Paging()


def list_scores(call: Call) -> HttpResponseBase:
    rows, filters = readable_scores(call.caller), Filters(call.request.GET)
    aggregate = filters.row("aggregate", ModelAggregate.objects.all())
    client = filters.uuid("client", Client.objects.all())
    if aggregate is not None:
        rows = rows.filter(aggregate=aggregate)
    if client is not None:
        rows = rows.filter(client=client)
    return answer(scores_out(_PAGING.page(rows, call.request.GET)))


def create_score(call: Call) -> HttpResponseBase:
    require_known(call.caller)
    with body_of(call) as body:
        fields = body.fields()
        results = fields.json("validation_results", null=False, required=True)
        aggregate = fields.key("aggregate", required=True)
        client = fields.uuid("client", required=True)
        fields.done()
    command = scores.SubmitScore(aggregate=aggregate, client=client, results=results)
    row = scores.submit_score(call.ports, call.caller, command, now=call.now)
    return answer(score_out(row), status=201)


def get_score(call: Call, pk: int) -> HttpResponseBase:
    return answer(score_out(found(readable_scores(call.caller), pk)))


def put_score(call: Call, pk: int) -> HttpResponseBase:
    return _change(call, pk, partial=False)


def patch_score(call: Call, pk: int) -> HttpResponseBase:
    return _change(call, pk, partial=True)


def delete_score(call: Call, pk: int) -> HttpResponseBase:
    scores.delete_score(call.ports, call.caller, pk, now=call.now)
    return HttpResponse(status=204)


def _change(call: Call, pk: int, *, partial: bool) -> HttpResponseBase:
    """A score stays with its aggregate and its client."""
    row = owned(call.caller, readable_scores(call.caller), pk)
    with body_of(call) as body:
        fields = body.fields(partial=partial)
        results = fields.json("validation_results", null=False, required=True)
        aggregate = fields.key("aggregate", required=True)
        client = fields.uuid("client", required=True)
        fields.done()
    if aggregate not in (MISSING, row.aggregate_id):
        raise BadFields({"aggregate": ["A score cannot be moved to another aggregate."]})
    if client not in (MISSING, row.client_id):
        raise BadFields({"client": ["A score cannot be given to another client."]})
    if results is not MISSING:
        row = scores.change_score(call.ports, call.caller, pk, results, now=call.now)
    return answer(score_out(row))
