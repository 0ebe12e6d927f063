"""Models, and what clients ask of one."""

from dataclasses import replace
from typing import Any

from django.http import HttpResponse, HttpResponseBase

from foedus.core.errors import Forbidden
from foedus.faces.fma.addresses import AGGREGATES
from foedus.faces.fma.answers import aggregate_out, artifact_out, model_out, models_out
from foedus.faces.fma.auth import BadUuid, address_of, uuid_in
from foedus.faces.fma.calls import Call
from foedus.faces.fma.fields import MAX_INTEGER, MISSING, Fields, sent
from foedus.faces.fma.limits import LIMITS
from foedus.faces.fma.lists import Filters, Paging
from foedus.faces.fma.parsing import body_of
from foedus.faces.fma.rendering import answer, answer_with
from foedus.faces.fma.waiting import Wish
from foedus.services.aggregation import files, membership, models
from foedus.services.aggregation.access import (
    get_owned_model,
    get_readable_model,
    owned_models,
    require_user,
)
from foedus.services.aggregation.rules import aggregators, not_a_choice
from foedus.services.aggregation.tree import latest_aggregate

_PAGING = Paging(size=100, most=200)
_DEFAULTS = {
    "requirement": "", "requirement_args": None, "update_schema": None, "client_agg_results_schema": None,
    "furthest_base_agg": None, "allow_aggregation": False, "score_rule": None, "aggregator_options": None,
}  # fmt: skip


def list_models(call: Call) -> HttpResponseBase:
    rows = owned_models(call.caller)
    allowed = Filters(call.request.GET).boolean("allow_aggregation")
    if allowed is not None:
        rows = rows.filter(allow_aggregation=allowed)
    return answer(models_out(_PAGING.page(rows, call.request.GET)))


def create_model(call: Call) -> HttpResponseBase:
    require_user(call.caller)
    with body_of(call, weights="initial_model") as body:
        wanted = _wanted(body.fields(), whole=True)
        row = models.create_model(call.ports, call.caller, wanted, body.weights, now=call.now)
    return answer(model_out(row), status=201)


def get_model(call: Call, pk: int) -> HttpResponseBase:
    return answer(model_out(get_owned_model(call.caller, pk)))


def put_model(call: Call, pk: int) -> HttpResponseBase:
    """Without ``allow_aggregation`` this pauses the model; fields that may be left out otherwise stay as they are."""
    return _change(call, pk, whole=True)


def patch_model(call: Call, pk: int) -> HttpResponseBase:
    return _change(call, pk, whole=False)


def delete_model(call: Call, pk: int) -> HttpResponseBase:
    models.delete_model(call.ports, call.caller, pk, now=call.now)
    return HttpResponse(status=204)


def register_client(call: Call, pk: int) -> HttpResponseBase:
    """Open to anybody: looks at ``CLIENT-UUID`` alone, whatever else is sent."""
    LIMITS.joiners.take(address_of(call.request), call.now.timestamp())
    try:
        uuid = uuid_in(call.request)
    except BadUuid as exc:
        raise Forbidden(exc.message) from exc
    client = membership.register_client(call.ports, pk, uuid, now=call.now)
    return answer({"uuid": client.pk})


def get_latest_aggregate(call: Call, pk: int) -> HttpResponseBase:
    """Whoever asked to wait has waited already."""
    Wish.of(call.request.GET)
    row = latest_aggregate(get_readable_model(call.caller, pk))
    return answer({} if row is None else aggregate_out(row, call.addresses.path(AGGREGATES, row.pk)))


def get_current_artifact(call: Call, pk: int) -> HttpResponseBase:
    row = get_readable_model(call.caller, pk).current_artifact
    return answer({} if row is None else artifact_out(row, call.addresses))


def get_latest_model(call: Call, pk: int) -> HttpResponseBase:
    """The weights of the newest aggregate; before there is one, those of the current artifact."""
    model = get_readable_model(call.caller, pk)
    row, artifact = latest_aggregate(model), model.current_artifact
    if row is not None:
        return answer_with({}, "values", files.Pieces(call.ports, files.of_aggregate(row)), {"aggregate": row.pk})
    if artifact is not None:
        return answer_with({}, "values", files.Pieces(call.ports, files.of_artifact(artifact)), {"aggregate": None})
    return answer({})


def _change(call: Call, pk: int, *, whole: bool) -> HttpResponseBase:
    get_owned_model(call.caller, pk)
    with body_of(call) as body:
        fields = body.fields(partial=not whole)
        wanted = _wanted(fields, whole=False)
        if whole and "allow_aggregation" not in wanted.columns:
            wanted = replace(wanted, columns={**wanted.columns, "allow_aggregation": False})
        row = models.change_model(call.ports, call.caller, pk, wanted, now=call.now)
    return answer(model_out(row))


def _wanted(fields: Fields, *, whole: bool) -> models.Wanted:
    """What the fields ask for; ``whole``: whatever is left out has its default."""
    columns: dict[str, Any] = {
        "name": fields.text("name", required=True),
        "aggregator": fields.text("aggregator", required=True),
        "aggregator_options": fields.json("aggregator_options"),
        "requirement": fields.text("requirement", blank=True),
        "requirement_args": fields.json("requirement_args"),
        "update_schema": fields.json("update_schema"),
        "client_agg_results_schema": fields.json("client_agg_results_schema"),
        "furthest_base_agg": fields.integer("furthest_base_agg", least=1, most=MAX_INTEGER),
        "allow_aggregation": fields.boolean("allow_aggregation"),
        "score_rule": fields.json("score_rule"),
    }
    developer = fields.user("developer", required=True)
    clients = fields.clients("clients")
    if isinstance(columns["aggregator"], str) and columns["aggregator"] not in aggregators():
        fields.fail("aggregator", not_a_choice("aggregator", columns["aggregator"]).message)
    fields.done()
    return models.Wanted(
        columns={**(_DEFAULTS if whole else {}), **sent(columns)},
        developer=None if developer is MISSING else developer,
        clients=None if clients is MISSING else clients,
    )
