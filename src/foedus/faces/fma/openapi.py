"""This dialect's description, OpenAPI 3.1. Written by hand, like its views; tests hold it against what is answered."""

from importlib.metadata import version
from typing import Any

from foedus.core.codecs import safetensors
from foedus.faces.fma.openapi_schemas import BYTES, ID, SCHEMAS, TEXT, UUID, Schema, ref
from foedus.faces.fma.parsing import FORM, JSON, MULTIPART
from foedus.faces.fma.waiting import MAX_WAIT_S

_TENSORS = safetensors.MEDIA_TYPE
_SECURITY: list[dict[str, list[str]]] = [{"Basic": []}, {"Session": []}, {"Client": []}, {"Token": []}]
_SECURITY_SCHEMES: dict[str, Schema] = {
    "Basic": {"type": "http", "scheme": "basic"},
    "Session": {"type": "apiKey", "in": "cookie", "name": "sessionid", "description": "X-CSRFToken with changes"},
    "Client": {"type": "apiKey", "in": "header", "name": "CLIENT-UUID"},
    "Token": {"type": "apiKey", "in": "header", "name": "Authorization", "description": "Token ..."},
}


def _parameter(name: str, schema: Schema, where: str = "query", *, required: bool = False) -> Schema:
    return {"name": name, "in": where, "required": required or where == "path", "schema": schema}


def _content(schema: Schema, *kinds: str) -> Schema:
    return {kind: {"schema": BYTES if kind == _TENSORS else schema} for kind in kinds or (JSON,)}


def _operation(name: str, summary: str, answer: Schema | None, **more: Any) -> Schema:
    """``status``, ``body`` (a schema's name), ``kinds`` (of bodies), ``query`` (parameters), ``public``."""
    status = str(more.get("status", 200))
    content = {} if answer is None else {"content": _content(answer, *more.get("answers", ()))}
    body = more.get("body")
    kinds = more.get("kinds", (JSON, FORM, MULTIPART))
    return {
        "operationId": name,
        "summary": summary,
        "security": [] if more.get("public") else _SECURITY,
        "parameters": list(more.get("query", ())),
        **({"requestBody": {"required": True, "content": _content(ref(body), *kinds)}} if body else {}),
        "responses": {
            status: {"description": summary, **content},
            **({"400": {"$ref": "#/components/responses/FieldErrors"}} if body or more.get("filters") else {}),
            "default": {"$ref": "#/components/responses/Detail"},
        },
    }


def _list(name: str, item: str, most: int, filters: dict[str, Schema], *orders: str) -> Schema:
    words = [sign + word for word in ("created_on", *orders) for sign in ("", "-")]
    query = [
        _parameter("page", {"anyOf": [ID, {"const": "last"}]}),
        _parameter("page_size", {**ID, "maximum": most}),
        _parameter("ordering", {"enum": words}),
        *(_parameter(field, schema) for field, schema in filters.items()),
    ]
    return _operation(
        name, "A page of them, newest first", {"type": "array", "items": ref(item)}, query=query, filters=True
    )


def _maybe(item: str) -> Schema:
    return {"anyOf": [ref(item), ref("Nothing")]}


_BIG = (JSON, FORM, MULTIPART, _TENSORS)
_SIGNED = _parameter("signed", {"type": "boolean"})
_WAIT = [
    _parameter("newer_than", {"type": "integer", "minimum": 0}),
    _parameter("wait", {"type": "number", "minimum": 0, "maximum": MAX_WAIT_S}),
]
# What a body of tensors says in the query instead.
_OF_UPDATE = [_parameter("federated_model", ID), _parameter("base_aggregate", ID), _parameter("client", UUID)]
_OF_AGGREGATE = [_parameter("federated_model", ID), _parameter("parent", ID), _parameter("validation_score", TEXT)]
_OF_MODEL = [_parameter(name, TEXT) for name in ("name", "aggregator", "requirement")]
_NOTHING_LEFT = {"status": 204}

PATHS: dict[str, Schema] = {
    "/api-token-auth/": {
        "post": _operation("obtain_token", "The user's token", ref("Token"), body="Login", public=True),
    },
    "/api/v1/": {"get": _operation("root", "Where the collections are", ref("Root"), public=True)},
    "/api/v1/openapi.json": {"get": _operation("openapi", "This description", {"type": "object"}, public=True)},
    "/api/v1/models/": {
        "get": _list("list_models", "Model", 200, {"allow_aggregation": {"type": "boolean"}}),
        "post": _operation(
            "create_model", "The model", ref("Model"), status=201, body="NewModel", kinds=_BIG, query=_OF_MODEL
        ),
    },
    "/api/v1/models/{id}/": {
        "get": _operation("get_model", "The model", ref("Model")),
        "put": _operation("put_model", "The model; paused unless it says otherwise", ref("Model"), body="ModelIn"),
        "patch": _operation("patch_model", "The model", ref("Model"), body="ModelPatch"),
        "delete": _operation("delete_model", "It is gone", None, **_NOTHING_LEFT),
    },
    "/api/v1/models/{id}/register_client/": {
        "post": _operation(
            "register_client", "The client, new unless CLIENT-UUID names it", ref("Client"), public=True,
            query=[_parameter("CLIENT-UUID", UUID, "header")],
        ),
    },
    "/api/v1/models/{id}/get_latest_aggregate/": {
        "get": _operation(
            "get_latest_aggregate", "The newest aggregate", _maybe("Aggregate"), query=[_SIGNED, *_WAIT], filters=True
        ),
    },
    "/api/v1/models/{id}/get_current_artifact/": {
        "get": _operation("get_current_artifact", "What is published", _maybe("Artifact"), query=[_SIGNED]),
    },
    "/api/v1/models/{id}/get_latest_model/": {
        "get": _operation("get_latest_model", "The newest weights", _maybe("LatestModel")),
    },
    "/api/v1/model_updates/": {
        "get": _list("list_updates", "Update", 20, {"federated_model": ID, "status": {"enum": [0, 1, 2, 3, 4]}}),
        "post": _operation(
            "create_update", "The update", ref("Update"), status=201, body="UpdateIn", kinds=_BIG, query=_OF_UPDATE
        ),
    },
    "/api/v1/model_updates/{id}/": {
        "get": _operation("get_update", "The update", ref("Update"), query=[_SIGNED]),
        "put": _operation("put_update", "The update", ref("Update"), body="UpdateIn", kinds=_BIG, query=_OF_UPDATE),
        "patch": _operation(
            "patch_update", "The update", ref("Update"), body="UpdatePatch", kinds=_BIG, query=_OF_UPDATE
        ),
        "delete": _operation("delete_update", "It is gone", None, **_NOTHING_LEFT),
    },
    "/api/v1/model_aggregates/": {
        "get": _list("list_aggregates", "Aggregate", 20, {"federated_model": ID}, "validation_score"),
        "post": _operation(
            "create_aggregate", "The aggregate", ref("Aggregate"), status=201, body="AggregateForm",
            kinds=(MULTIPART, _TENSORS), query=_OF_AGGREGATE,
        ),
    },
    "/api/v1/model_aggregates/{id}/": {
        "get": _operation("get_aggregate", "The aggregate with its weights", ref("AggregateWeights")),
        "put": _operation("put_aggregate", "The aggregate", ref("Aggregate"), body="AggregatePatch"),
        "patch": _operation("patch_aggregate", "The aggregate", ref("Aggregate"), body="AggregatePatch"),
        "delete": _operation("delete_aggregate", "It is gone, with what is below", None, **_NOTHING_LEFT),
    },
    "/api/v1/model_aggregates/{id}/publish_aggregate/": {
        "post": _operation(
            "publish_aggregate", "The artifact", ref("Artifact"), status=201, body="Version", query=[_SIGNED]
        ),
    },
    "/api/v1/client_aggregate_scores/": {
        "get": _list("list_scores", "Score", 20, {"aggregate": ID, "client": UUID}),
        "post": _operation("create_score", "The score", ref("Score"), status=201, body="ScoreIn"),
    },
    "/api/v1/client_aggregate_scores/{id}/": {
        "get": _operation("get_score", "The score", ref("Score")),
        "put": _operation("put_score", "The score", ref("Score"), body="ScoreIn"),
        "patch": _operation("patch_score", "The score", ref("Score"), body="ScorePatch"),
        "delete": _operation("delete_score", "It is gone", None, **_NOTHING_LEFT),
    },
    "/mediafiles/{folder}/{id}.{kind}": {
        "get": _operation(
            "get_file", "Weights as a file", BYTES, answers=("application/octet-stream", _TENSORS),
            query=[_parameter("expires", TEXT), _parameter("signature", TEXT)],
        ),
    },
}  # fmt: skip
_IN_PATH: dict[str, Schema] = {
    "id": ID,
    "folder": {"enum": ["model_updates", "model_aggregates", "model_artifacts"]},
    "kind": {"enum": ["json", "safetensors"]},
}


def document() -> Schema:
    """The whole description."""
    return {
        "openapi": "3.1.0",
        "info": {"title": "foedus: federated model aggregation", "version": version("foedus")},
        "paths": {path: {**_named_in(path), **operations} for path, operations in PATHS.items()},
        "components": {
            "schemas": SCHEMAS,
            "securitySchemes": _SECURITY_SCHEMES,
            "responses": {
                "FieldErrors": {
                    "description": "fields are wrong, or the body cannot be read",
                    "content": _content({"anyOf": [ref("FieldErrors"), ref("Detail")]}),
                },
                "Detail": {"description": "what went wrong", "content": _content(ref("Detail"))},
            },
        },
    }


def _named_in(path: str) -> Schema:
    found = [_parameter(name, schema, "path") for name, schema in _IN_PATH.items() if f"{{{name}}}" in path]
    return {"parameters": found} if found else {}
