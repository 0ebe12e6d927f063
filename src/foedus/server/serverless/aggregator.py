"""The aggregator as a function: a scheduled event aggregates one model once."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import cache
from typing import Any

import structlog

from foedus import bootstrap
from foedus.core.errors import Invalid
from foedus.ports.metadata import AggConnector, ModelMissing
from foedus.server.fma_settings import AGG_CONNECTORS, METADATA_CONNECTORS, MODEL_DATA, FmaSettings, fma_settings
from foedus.server.serverless import runtime
from foedus.server.serverless.events import is_http

log = structlog.get_logger()


def handler(event: Mapping[str, Any], context: Any) -> dict[str, Any]:
    """The function's entry point.

    A run that fails raises, so that the platform counts it as failed and tries again; a 200 means that it did not.
    """
    if is_http(event):
        healthy = event.get("httpMethod") == "GET" and event.get("path") in ("/health", "/health/")
        return _answer(200, {"status": "healthy"}) if healthy else _answer(404, {"data": "NOT FOUND"})
    detail = event.get("detail")
    given = detail.get("model_id") if isinstance(detail, Mapping) else None
    if given is None:
        return _answer(400, {"data": "NO MODEL ID PROVIDED"})
    try:
        model = model_id(given)
    except Invalid as exc:
        return _answer(400, {"data": exc.message})
    runtime.start()
    with runtime.event_of("aggregator", context, kind="aggregate", model=model) as told:
        answer = _run(model)
        told |= {"status": answer["statusCode"], "aggregate": json.loads(answer["body"])["data"].get("agg_id")}
        return answer


def model_id(given: Any) -> int:
    """The number of a model, or text of one. Raises Invalid."""
    is_number = isinstance(given, int) and not isinstance(given, bool)
    if not is_number and not (isinstance(given, str) and given.isascii() and given.isdecimal() and len(given) < 20):
        raise Invalid("MODEL ID IS NOT A NUMBER")
    return int(given)


def _run(model: int) -> dict[str, Any]:
    try:
        outcome = connector().run(model, now=lambda: datetime.now(UTC))
    except ModelMissing:
        # Its rule outlived it; nothing would ever come of it.
        bootstrap.ports().schedule.drop(model)
        return _answer(404, {"data": {"fed_id": model, "agg_id": None, "reason": "There is no such model."}})
    data: dict[str, Any] = {"fed_id": model, "agg_id": outcome.aggregate}
    if outcome.reason:
        data["reason"] = outcome.reason
    if outcome.rejected:
        data["rejected"] = list(outcome.rejected)
    return _answer(200, {"data": data})


@cache
def connector() -> AggConnector:
    """The one that the settings name, kept between events."""
    return connected(fma_settings())


def connected(settings: FmaSettings) -> AggConnector:
    """The aggregator connector, with the metadata and the model data that it stands on."""
    agg, ports = settings.aggregator, bootstrap.ports()
    metadata_type, options = _typed(agg.metadata_connector)
    where = "AGGREGATOR_SETTINGS.metadata_connector.type"
    metadata = settings.load(METADATA_CONNECTORS, str(metadata_type), where).from_settings(options, ports)
    data_type, data_options = _typed(agg.model_data_connector)
    data = None
    if data_type is not None:
        blobs = settings.load(MODEL_DATA, data_type, "AGGREGATOR_SETTINGS.model_data_connector.type")
        data = blobs.from_url(_url(data_type, data_options), data=bootstrap.settings().data)
    where = "AGGREGATOR_SETTINGS.aggregator_connector_type"
    found: AggConnector = settings.load(AGG_CONNECTORS, agg.aggregator_connector_type, where).from_settings(
        metadata, data, ports
    )
    return found


def _typed(given: Mapping[str, Any]) -> tuple[str | None, dict[str, Any]]:
    return given.get("type"), {name: value for name, value in given.items() if name != "type"}


def _url(scheme: str, options: Mapping[str, Any]) -> str:
    """``url``, which is all that stands beside the type of a model data connector."""
    if unknown := [name for name in options if name != "url"]:
        raise Invalid(f"AGGREGATOR_SETTINGS.model_data_connector has no option {unknown[0]!r}; it has type, url")
    return str(options.get("url") or f"{scheme}:")


def _answer(status: int, body: Mapping[str, Any]) -> dict[str, Any]:
    return {"statusCode": status, "headers": {"Content-Type": "application/json"}, "body": json.dumps(body)}
