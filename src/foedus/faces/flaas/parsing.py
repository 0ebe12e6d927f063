"""Requests: bodies of the types that this dialect takes, and what phones say of themselves."""

import json
from collections.abc import Mapping
from math import isfinite
from typing import Any

from django.http import HttpRequest

from foedus.core.codecs import strict_json
from foedus.core.errors import Invalid, NotFound, TooLarge
from foedus.faces.flaas.errors import Empty, Malformed, UnsupportedMediaType
from foedus.services.fleet.availability import Said
from foedus.services.fleet.fields import BadFields

JSON = "application/json"
FORMS = ("application/x-www-form-urlencoded", "multipart/form-data")
MAX_JSON_BYTES = 256 << 10
MAX_DEPTH = 32
MAX_TEXT = 100
MAX_DIGITS = 9
_BOUND = 1 << 31
_WIRE_DETAILS = {
    "os": ("os", 10), "model": ("model", 30), "manufacturer": ("manufacturer", 30), "brand": ("brand", 30),
    "type": ("build_type", 30), "incremental": ("incremental", 30), "version": ("os_version", 10),
    "security_patch": ("security_patch", 15),
}  # fmt: skip


def media_type(header: str) -> str:
    return header.split(";", 1)[0].strip().lower()


def check_type(header: str, *allowed: str) -> str:
    found = media_type(header)
    if found not in allowed:
        raise UnsupportedMediaType(f'Unsupported media type "{header[:MAX_TEXT]}" in request.')
    return found


def parse_json(body: bytes) -> Any:
    """Raises Malformed for what is no JSON, and for text that no database could keep."""
    try:
        value = strict_json.parse(body, max_depth=MAX_DEPTH)
    except Invalid as exc:
        raise Malformed(f"JSON parse error - {exc.message}") from exc
    try:
        json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError as exc:
        raise Malformed("JSON parse error - a text holds half of a character") from exc
    return value


def fields_in(request: HttpRequest) -> Mapping[str, Any]:
    """The fields of a body: form, multipart or JSON object. Raises UnsupportedMediaType, Malformed, TooLarge."""
    _check_length(request)
    header = request.headers.get("Content-Type", "")
    if not header and not request.body:
        return {}
    if check_type(header, JSON, *FORMS) != JSON:
        if request.method != "POST":
            raise UnsupportedMediaType(f'Unsupported media type "{header[:MAX_TEXT]}" in request.')
        return {name: value for name, value in request.POST.items() if isinstance(value, str)}
    if not request.body:
        return {}
    value = parse_json(request.body)
    if not isinstance(value, dict):
        raise BadFields({"non_field_errors": [f"Invalid data. Expected a dictionary, but got {type(value).__name__}."]})
    return value


def texts_in(request: HttpRequest, *names: str) -> tuple[str, ...]:
    """Required texts of a body. Raises BadFields, with what is wrong with each."""
    fields = fields_in(request)
    complaints = {name: [text] for name in names if (text := _complaint(fields, name))}
    if complaints:
        raise BadFields(complaints)
    return tuple(str(fields[name]) for name in names)


def number_in(text: str) -> int:
    """A number in a path; anything else is an address that is not there."""
    if not text.isascii() or not text.isdecimal() or len(text) > MAX_DIGITS:
        raise NotFound("there is no such round")
    return int(text)


def status_in(request: HttpRequest) -> int:
    """The query's ``status``; 1 when there is none. Raises Malformed."""
    text = request.GET.get("status", "1")
    if not text.isascii() or not text.isdecimal() or len(text) > MAX_DIGITS:
        raise Malformed("status must be a number")
    return int(text)


def report_in(request: HttpRequest) -> Said:
    """What a phone reports. Raises Empty when a required part is missing or of another kind."""
    _check_length(request)
    check_type(request.headers.get("Content-Type", ""), JSON)
    match parse_json(request.body):
        case {"request_type": "device-ping", "device_info": {"device_details": {"os": str()} as details, **info}}:
            return _said(details, info, None)
        case {
            "request_type": "device-train",
            "request_id": int(request_id),
            "device_info": {"device_details": {"os": str()} as details, **info},
        } if not isinstance(request_id, bool):
            return _said(details, info, request_id)
        case _:
            raise Empty


def _said(details: Mapping[Any, Any], info: Mapping[Any, Any], request_id: int | None) -> Said:
    battery, app, usage = (_part(info, name) for name in ("battery_status", "app_details", "usage_stats_details"))
    network = _part(_part(info, "connectivity_status"), "active_network")
    plugged, level = battery.get("power_plugged"), battery.get("level")
    power_plugged = plugged if isinstance(plugged, bool) else None
    battery_level = _share(level)
    kept = {
        "version_code": _integer(app.get("version_code")),
        "bucket": _integer(usage.get("app_standby_bucket")),
        "network_type": _text(network.get("type_name"), MAX_TEXT),
        "network_subtype": _text(network.get("subtype_name"), MAX_TEXT),
        "power_plugged": power_plugged,
        "battery_level": battery_level,
    }
    return Said(
        details={
            column: _text(details[name], length) for name, (column, length) in _WIRE_DETAILS.items() if name in details
        },
        power_plugged=power_plugged,
        battery_level=battery_level,
        kept={name: value for name, value in kept.items() if value not in (None, "")},
        request=request_id,
    )


def _part(info: Mapping[Any, Any], name: str) -> Mapping[Any, Any]:
    """A part of what a phone says; phones leave out what they could not read."""
    value = info.get(name)
    return value if isinstance(value, dict) else {}


def _share(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1:
        return None
    return float(value) if isfinite(value) else None


def _integer(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and -_BOUND <= value < _BOUND else None


def _text(value: Any, length: int) -> str:
    if isinstance(value, bool) or not isinstance(value, str | int):
        return ""
    return str(value)[:length].replace("\0", "") if isinstance(value, str) or abs(value) < _BOUND else ""


def _complaint(fields: Mapping[str, Any], name: str) -> str:
    if name not in fields:
        return "This field is required."
    value = fields[name]
    if value is None:
        return "This field may not be null."
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return "Not a valid string."
    if not str(value).strip():
        return "This field may not be blank."
    return "Null characters are not allowed." if "\0" in str(value) else ""


def _check_length(request: HttpRequest) -> None:
    length = request.META.get("CONTENT_LENGTH") or "0"
    if length.isdecimal() and int(length[:12]) > MAX_JSON_BYTES:
        raise TooLarge(f"The body has at most {MAX_JSON_BYTES} bytes.", limit_bytes=MAX_JSON_BYTES)
    if len(request.body) > MAX_JSON_BYTES:
        raise TooLarge(f"The body has at most {MAX_JSON_BYTES} bytes.", limit_bytes=MAX_JSON_BYTES)
