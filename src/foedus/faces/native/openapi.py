"""The API's description: what ninja says of the control plane, and by hand what the data plane does."""

import json
import re
from functools import cache
from typing import Any

from ninja import NinjaAPI

from foedus.core.statistics import MEDIA_TYPE
from foedus.faces.native import rendering

PREFIX = "/foedus/v1/"
_MODEL = "application/vnd.safetensors"
_BYTES = {"type": "string", "format": "binary"}
_TEXT = {"type": "string"}
_BASE64 = {"type": "string", "contentEncoding": "base64"}
_NUMBER = {"type": "integer", "minimum": 0}
_METHODS = ("get", "head", "put", "patch")


def _parameter(name: str, where: str, schema: dict[str, Any], text: str = "", *, required: bool = False) -> Any:
    return {
        "name": name,
        "in": where,
        "required": required or where == "path",
        "schema": schema,
        **({"description": text} if text else {}),
    }


def _answer(text: str, media_type: str = "", schema: dict[str, Any] | None = None) -> dict[str, Any]:
    return {"description": text, **({"content": {media_type: {"schema": schema}}} if media_type else {})}


def _ref(name: str) -> dict[str, Any]:
    return {"$ref": f"#/components/schemas/{name}"}


def _body(media_type: str) -> dict[str, Any]:
    return {"required": True, "content": {media_type: {"schema": _BYTES}}}


_PROJECT = _parameter("project", "path", {"type": "string", "pattern": "^[a-z0-9]+(-[a-z0-9]+)*$", "maxLength": 64})
_ROUND = _parameter("number", "path", _NUMBER)
_CHECKPOINT = _parameter(
    "number", "path", {"oneOf": [_NUMBER, {"enum": ["latest", "best"]}]}, "a number, latest, or best"
)
_DIGEST = "sha-256=:<base64>:, of the uncompressed bytes"
_IN_JSON = "application/json"
_STATISTICS = [_parameter("customer", "path", _TEXT), _parameter("name", "path", {"type": "string", "maxLength": 200})]

_GET_MODEL: dict[str, Any] = {
    "parameters": [
        _parameter("Range", "header", _TEXT, "one range of bytes"),
        _parameter("If-Range", "header", _TEXT),
        _parameter("If-None-Match", "header", _TEXT, "the digest in quotes"),
    ],
    "responses": {
        "200": _answer("the whole model", _MODEL, _BYTES),
        "206": _answer("the range", _MODEL, _BYTES),
        "304": _answer("you have it"),
    },
}

# Path below the prefix -> what holds for the path -> operations.
STREAMING: dict[str, dict[str, Any]] = {
    "projects/{project}/next": {
        "parameters": [_PROJECT],
        "get": {
            "operationId": "next_task",
            "summary": "What should I do now?",
            "parameters": [
                _parameter("wait", "query", {"type": "number", "minimum": 0, "maximum": 60, "default": 0}, "seconds"),
                _parameter("can", "query", {"type": "string", "default": "train"}, "train, evaluate, or both by comma"),
                _parameter("anew", "query", {"type": "boolean", "default": False}, "the participant has just started"),
                _parameter("inline", "query", {"type": "boolean", "default": False}, "hand out small models in `data`"),
            ],
            "responses": {"200": _answer("the task", _IN_JSON, _ref("Task"))},
        },
    },
    "projects/{project}/events": {
        "parameters": [_PROJECT],
        "get": {
            "operationId": "follow_events",
            "summary": "What happens in a project, as server-sent events",
            "parameters": [
                _parameter("after", "query", _NUMBER, "the id of the latest event that you have"),
                _parameter("Last-Event-ID", "header", _TEXT, "the same, as browsers say it"),
            ],
            "responses": {"200": _answer("events, without end", "text/event-stream", _TEXT)},
        },
    },
    "projects/{project}/model": {
        "parameters": [_PROJECT],
        "put": {
            "operationId": "put_initial_model",
            "summary": "The initial model, checkpoint 0",
            "parameters": [_parameter("Content-Digest", "header", _TEXT, _DIGEST)],
            "requestBody": _body(_MODEL),
            "responses": {
                "201": _answer("the checkpoint", _IN_JSON, _ref("CheckpointOut")),
                "200": _answer("it was there already", _IN_JSON, _ref("CheckpointOut")),
            },
        },
    },
    "projects/{project}/rounds/{number}/update": {
        "parameters": [_PROJECT, _ROUND],
        "put": {
            "operationId": "put_update",
            "summary": "Hand in an update",
            "parameters": [
                _parameter("examples", "query", {"type": "number", "exclusiveMinimum": 0}, required=True),
                _parameter("Content-Digest", "header", _TEXT, _DIGEST, required=True),
                _parameter("Foedus-Metrics", "header", _TEXT, "a flat JSON object of finite numbers, 4 KiB"),
            ],
            "requestBody": _body(_MODEL),
            "responses": {
                "201": _answer("the receipt", _IN_JSON, _ref("ReceiptOut")),
                "200": _answer("the receipt of the first time", _IN_JSON, _ref("ReceiptOut")),
            },
        },
    },
    "projects/{project}/uploads/{upload}": {
        "parameters": [_PROJECT, _parameter("upload", "path", {"type": "string", "pattern": "^[0-9a-f]{32}$"})],
        "patch": {
            "operationId": "append_part",
            "summary": "The next part of an upload",
            "parameters": [_parameter("Upload-Offset", "header", _NUMBER, required=True)],
            "requestBody": _body("application/offset+octet-stream"),
            "responses": {"200": _answer("how far it is now", _IN_JSON, _ref("UploadOut"))},
        },
    },
    "projects/{project}/checkpoints/{number}/model": {
        "parameters": [_PROJECT, _CHECKPOINT],
        "get": {"operationId": "get_model", "summary": "A checkpoint's bytes", **_GET_MODEL},
        "head": {"operationId": "head_model", "summary": "What get would answer, without the bytes", **_GET_MODEL},
    },
    "projects/{project}/checkpoints/{number}/state": {
        "parameters": [_PROJECT, _CHECKPOINT],
        "get": {"operationId": "get_state", "summary": "What the strategy sends along", **_GET_MODEL},
        "head": {"operationId": "head_state", "summary": "What get would answer, without the bytes", **_GET_MODEL},
    },
    "statistics/{customer}/projects/{name}/contributions/{key}": {
        "parameters": [*_STATISTICS, _parameter("key", "path", {"type": "string", "maxLength": 64})],
        "put": {
            "operationId": "put_contribution",
            "summary": "Hand in statistics that were computed where the rows lie; once, whatever is sent again",
            "parameters": [_parameter("Content-Digest", "header", _TEXT, _DIGEST, required=True)],
            "requestBody": _body(MEDIA_TYPE),
            "responses": {
                "201": _answer("the contribution", _IN_JSON, _ref("ContributionOut")),
                "200": _answer("the contribution of the first time", _IN_JSON, _ref("ContributionOut")),
            },
        },
    },
    "statistics/{customer}/projects/{name}/statistics": {
        "parameters": _STATISTICS,
        "get": {
            "operationId": "get_statistics",
            "summary": "All that a project keeps",
            "parameters": [],
            "responses": {"200": _answer("the statistics", MEDIA_TYPE, _BYTES)},
        },
    },
}

_SCHEMAS: dict[str, Any] = {
    "Problem": {
        "type": "object",
        "required": ["type", "title", "status", "detail", "code", "context"],
        "properties": {
            "type": {"type": "string", "examples": ["urn:foedus:error:not_found"]},
            "title": _TEXT,
            "status": {"type": "integer"},
            "detail": {"type": "string", "description": "what is wrong and what to do, as a sentence"},
            "code": {"type": "string", "description": "what is wrong, for programs"},
            "context": {"type": "object"},
        },
    },
    "ContributionOut": {
        "type": "object",
        "required": ["key", "digest", "rows", "at"],
        "properties": {"key": _TEXT, "digest": _TEXT, "rows": _NUMBER, "at": {"type": "string", "format": "date-time"}},
    },
    "Task": {
        "type": "object",
        "required": ["task"],
        "properties": {
            "task": {"enum": ["train", "evaluate", "wait", "finished"]},
            "round": _NUMBER,
            "checkpoint": {
                "oneOf": [
                    {"allOf": [_ref("CheckpointOut"), {"type": "object", "properties": {"data": _BASE64}}]},
                    {"type": "null"},
                ],
            },
            "settings": {"type": "object"},
            "update_kind": {"enum": ["weights", "delta"]},
            "encodings": {"type": "array", "items": _TEXT},
            "strategy": {
                "type": ["object", "null"],
                "properties": {
                    "name": _TEXT,
                    "sends": {"type": "array", "items": _TEXT},
                    "state": {
                        "type": ["object", "null"],
                        "properties": {"digest": _TEXT, "size_bytes": _NUMBER, "href": _TEXT, "data": _BASE64},
                    },
                    "returns": {"type": "array", "items": _TEXT},
                    "metrics": {"type": "array", "items": _TEXT},
                },
            },
            "deadline_at": {"type": ["string", "null"], "format": "date-time"},
            "heartbeat_s": {"type": "number"},
            "evaluate": {"type": "boolean"},
            "reasons": {"type": "array", "items": _ref("ReasonOut")},
        },
    },
}


def streaming_methods(path: str) -> frozenset[str]:
    """The methods that the data plane has at an address of this server; none for addresses that are not its own."""
    for template, entry in STREAMING.items():
        if _pattern(template).fullmatch(path):
            return frozenset(method.upper() for method in _METHODS if method in entry)
    return frozenset()


def document(api: NinjaAPI) -> dict[str, Any]:
    """The whole description, OpenAPI 3.1."""
    found: dict[str, Any] = json.loads(rendering.to_json(api.get_openapi_schema(path_prefix=PREFIX)))
    schemas = found["components"]["schemas"]
    schemas.update(_SCHEMAS)
    found["components"]["securitySchemes"] = {"Bearer": {"type": "http", "scheme": "bearer"}}
    found["components"]["responses"] = {
        "Problem": _answer("what went wrong", "application/problem+json", _ref("Problem"))
    }
    for template, entry in STREAMING.items():
        _merge(found["paths"].setdefault(PREFIX + template, {}), entry)
    for entry in found["paths"].values():
        for method, operation in entry.items():
            if method != "parameters":
                operation["responses"]["default"] = {"$ref": "#/components/responses/Problem"}
    return found


def _merge(path: dict[str, Any], entry: dict[str, Any]) -> None:
    """Add operations to a path; each gets the path's parameters, because ninja's own bring theirs along."""
    for method in _METHODS:
        if method in entry:
            operation = json.loads(rendering.to_json(entry[method]))
            operation["parameters"] = [*entry["parameters"], *operation["parameters"]]
            path[method] = {**operation, "tags": ["streaming"], "security": [{"Bearer": []}]}


@cache
def _pattern(template: str) -> re.Pattern[str]:
    """Addresses of this template, with whatever may stand for its names."""
    parts = {"{project}": "[a-z0-9-]+", "{number}": "(?:[0-9]+|latest|best)", "{upload}": "[0-9a-f]{32}"}
    parts |= dict.fromkeys(("{customer}", "{name}", "{key}"), "[^/]+")
    return re.compile("/".join(parts.get(part, re.escape(part)) for part in (PREFIX + template).split("/")))
