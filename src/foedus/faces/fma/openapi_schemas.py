"""What is sent and answered, as JSON Schema: the ``components`` of the description."""

from typing import Any

Schema = dict[str, Any]

TEXT: Schema = {"type": "string"}
ID: Schema = {"type": "integer", "minimum": 1}
UUID: Schema = {"type": "string", "format": "uuid"}
NUMBER: Schema = {"type": "number"}
BYTES: Schema = {"type": "string", "format": "binary"}
ANYTHING: Schema = {}
_COUNT: Schema = {"type": "integer", "minimum": 0}
_TIME: Schema = {"type": "string", "format": "date-time"}
_NAME: Schema = {"type": "string", "minLength": 1, "maxLength": 255}
_ADDRESS: Schema = {"type": "string", "format": "uri-reference", "description": "opens with the caller's credentials"}


def ref(name: str) -> Schema:
    return {"$ref": f"#/components/schemas/{name}"}


def optional(schema: Schema) -> Schema:
    return {"anyOf": [schema, {"type": "null"}]}


def record(fields: dict[str, Schema], maybe: dict[str, Schema] | None = None) -> Schema:
    """An object that has all of ``fields``, and maybe more."""
    return {"type": "object", "required": list(fields), "properties": {**fields, **(maybe or {})}}


def _partial(whole: Schema) -> Schema:
    return {name: value for name, value in whole.items() if name != "required"}


_SCORE_RULE = record({}, {"metric": TEXT, "publish": {"enum": ["max", "min"]}, "clients": ID})
_CHOSEN: dict[str, Schema] = {"name": _NAME, "developer": ID, "aggregator": TEXT}
_POLICY: dict[str, Schema] = {
    "requirement": {"enum": ["", "all_clients", "require_x_updates"]},
    "requirement_args": optional({"type": "array", "items": {"type": "integer"}}),
    "allow_aggregation": {"type": "boolean"},
    "update_schema": ANYTHING,
    "client_agg_results_schema": ANYTHING,
    "furthest_base_agg": optional(ID),
    "clients": {"type": "array", "items": UUID},
}
_OPTIONS: Schema = {"type": "object"}
_MODEL_IN = record(
    _CHOSEN, {**_POLICY, "score_rule": optional(ref("ScoreRule")), "aggregator_options": optional(_OPTIONS)}
)
_UPDATE_IN = record(
    {"federated_model": ID, "data": ref("Weights")},
    {
        "base_aggregate": optional(ID),
        "client": UUID,
        "examples": optional(NUMBER),
        "metrics": optional({"type": "object", "additionalProperties": NUMBER}),
    },
)
_SCORE_IN = record({"aggregate": ID, "client": UUID, "validation_results": ANYTHING})
_PLACE: dict[str, Schema] = {
    "validation_score": optional(NUMBER), "created_on": _TIME, "lft": _COUNT, "rght": _COUNT, "tree_id": _COUNT,
    "level": _COUNT, "federated_model": ID, "parent": optional(ID),
}  # fmt: skip

SCHEMAS: dict[str, Schema] = {
    "Nested": {"anyOf": [NUMBER, {"type": "array", "items": ref("Nested")}], "description": "lists of numbers"},
    "Weights": {
        "anyOf": [ref("Nested"), {"type": "object", "additionalProperties": ref("Nested")}],
        "description": "one array, a list of layers, or an object of arrays",
    },
    "Nothing": {"type": "object", "maxProperties": 0, "description": "there is none yet"},
    "FieldErrors": {
        "type": "object",
        "additionalProperties": {"type": "array", "items": TEXT},
        "description": "what is wrong with each field; across fields as non_field_errors",
    },
    "Detail": record({"detail": TEXT}),
    "Root": {"type": "object", "additionalProperties": {"type": "string", "format": "uri"}},
    "Login": record({"username": TEXT, "password": TEXT}),
    "Token": record({"token": TEXT}),
    "Client": record({"uuid": UUID}),
    "ScoreRule": _SCORE_RULE,
    "Model": record(
        {
            "id": ID,
            **_CHOSEN,
            **_POLICY,
            "created_on": _TIME,
            "last_modified": _TIME,
            "current_artifact": optional(ID),
        },
        {"score_rule": ref("ScoreRule"), "aggregator_options": _OPTIONS},
    ),
    "ModelIn": _MODEL_IN,
    "ModelPatch": _partial(_MODEL_IN),
    "NewModel": {**_MODEL_IN, "properties": {**_MODEL_IN["properties"], "initial_model": ANYTHING}},
    "Update": record(
        {
            "id": ID,
            "data": _ADDRESS,
            "created_on": _TIME,
            "client": UUID,
            "federated_model": ID,
            "base_aggregate": optional(ID),
        },
        {
            "status": {"enum": [0, 1, 2, 3, 4], "description": "not for clients, nor the next two"},
            "applied_aggregate": optional(ID),
            "reason": TEXT,
        },
    ),
    "UpdateIn": _UPDATE_IN,
    "UpdatePatch": _partial(_UPDATE_IN),
    "Aggregate": record({"id": ID, "result": _ADDRESS, **_PLACE}),
    "AggregateWeights": record({"id": ID, "result": ref("Weights"), **_PLACE}),
    "AggregateForm": record(
        {"federated_model": ID, "result": BYTES}, {"parent": optional(ID), "validation_score": optional(NUMBER)}
    ),
    "AggregatePatch": record({}, {"validation_score": optional(NUMBER)}),
    "Version": record({"version": _NAME}),
    "Artifact": record({"id": ID, "values": _ADDRESS, "version": TEXT, "created_on": _TIME, "federated_model": ID}),
    "LatestModel": record({"values": ref("Weights"), "aggregate": optional(ID)}),
    "Score": record({"id": ID, **_SCORE_IN["properties"], "created_on": _TIME}),
    "ScoreIn": _SCORE_IN,
    "ScorePatch": _partial(_SCORE_IN),
}
