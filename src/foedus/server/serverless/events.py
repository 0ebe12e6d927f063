"""HTTP as functions see it: events of load balancers and gateways in, answers for them out.

Three forms come in: of an application load balancer, of an API Gateway for REST (version 1) and of one for HTTP
(version 2). All become a WSGI request to Django, without an event loop in between: nothing can stream through a
function, and Django costs several times more under ASGI.
"""

import base64
import binascii
import io
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, BinaryIO
from urllib.parse import unquote_to_bytes, urlencode

from foedus.core.errors import Invalid

TEXT = ("text/", "application/json", "application/javascript", "application/xml")
Headers = Sequence[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Call:
    """One request. ``script`` is what stands before the path on the outside, such as the stage of a gateway.

    ``query`` is as in an address; ``headers`` have lower-case names. ``form`` says which answer is understood.
    """

    form: str
    method: str
    path: bytes
    script: str
    query: str
    headers: Headers
    body: bytes
    client: str

    def header(self, name: str) -> str:
        """All values of a header, as one."""
        return ", ".join(value for key, value in self.headers if key == name)


def is_http(event: Mapping[str, Any]) -> bool:
    return "httpMethod" in event or "http" in _mapping(event.get("requestContext"))


def call_of(event: Mapping[str, Any]) -> Call:
    """The request in an event. Raises Invalid when there is none."""
    context = _mapping(event.get("requestContext"))
    try:
        if "http" in context:
            return _http_gateway(event, context)
        return _balancer(event) if "elb" in context else _rest_gateway(event, context)
    except (KeyError, TypeError, AttributeError, binascii.Error) as exc:
        raise Invalid("this event is not an HTTP request of a load balancer or an API gateway") from exc


def environ_of(call: Call, body: BinaryIO, length: int) -> dict[str, Any]:
    """The request for a WSGI application; ``body`` may be longer than what came with the event."""
    scheme = call.header("x-forwarded-proto").rpartition(",")[2].strip() or "https"
    host, _, port = call.header("host").rpartition(":")
    if not port.isdecimal():
        host, port = call.header("host"), call.header("x-forwarded-port").rpartition(",")[2].strip()
    environ = {
        "REQUEST_METHOD": call.method,
        "SCRIPT_NAME": call.script,
        "PATH_INFO": call.path.decode("latin-1"),
        "QUERY_STRING": call.query,
        "SERVER_NAME": host or "localhost",
        "SERVER_PORT": port if port.isdecimal() else "443" if scheme == "https" else "80",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "REMOTE_ADDR": call.client,
        "CONTENT_LENGTH": str(length),
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": scheme if scheme in ("http", "https") else "https",
        "wsgi.input": body,
        "wsgi.errors": io.StringIO(),
        "wsgi.multithread": False,
        "wsgi.multiprocess": True,
        "wsgi.run_once": False,
    }
    for name in dict.fromkeys(name for name, _ in call.headers):
        if "_" in name or name in ("content-length", "transfer-encoding"):
            continue  # with an underscore it would pass for the header with a hyphen
        key = name.upper().replace("-", "_")
        value = "; ".join(v for k, v in call.headers if k == name) if name == "cookie" else call.header(name)
        environ[key if key == "CONTENT_TYPE" else f"HTTP_{key}"] = value
    return environ


def answer_to(call: Call, status: int, headers: Headers, body: bytes) -> dict[str, Any]:
    """An answer in the form that the caller understands. What is no text goes as base64."""
    text = _as_text(headers, body)
    answer: dict[str, Any] = {
        "statusCode": status,
        "isBase64Encoded": text is None,
        "body": base64.b64encode(body).decode() if text is None else text,
    }
    values: dict[str, list[str]] = {}
    for name, value in headers:
        values.setdefault(name.lower(), []).append(value)
    if call.form == "http":
        answer["cookies"] = values.pop("set-cookie", [])
        answer["headers"] = {name: ", ".join(several) for name, several in values.items()}
    elif call.form.endswith("multi"):
        answer["multiValueHeaders"] = values
    else:
        answer["headers"] = dict(_spread(values))
    if call.form.startswith("balancer"):
        answer["statusDescription"] = f"{status} {_phrase(status)}"
    return answer


def _balancer(event: Mapping[str, Any]) -> Call:
    """A load balancer passes on the query and path as they were, encoded."""
    several = event.get("multiValueHeaders")
    query = event.get("multiValueQueryStringParameters") or event.get("queryStringParameters") or {}
    headers = _headers(event)
    return Call(
        form="balancer-multi" if several is not None else "balancer",
        method=event["httpMethod"],
        path=unquote_to_bytes(event["path"] or "/"),
        script="",
        query="&".join(f"{name}={value}" for name, value in _pairs(query)),
        headers=headers,
        body=_body(event),
        # The last is the one that the balancer itself saw; the others are hearsay.
        client=", ".join(v for k, v in headers if k == "x-forwarded-for").rpartition(",")[2].strip(),
    )


def _rest_gateway(event: Mapping[str, Any], context: Mapping[str, Any]) -> Call:
    path = event["path"] or "/"
    whole = context.get("path") or path
    return Call(
        form="rest-multi",
        method=event["httpMethod"],
        path=unquote_to_bytes(path),
        script=whole.removesuffix(path) if whole.endswith(path) else "",
        query=urlencode(
            list(_pairs(event.get("multiValueQueryStringParameters") or event.get("queryStringParameters") or {}))
        ),
        headers=_headers(event),
        body=_body(event),
        client=_mapping(context.get("identity")).get("sourceIp") or "",
    )


def _http_gateway(event: Mapping[str, Any], context: Mapping[str, Any]) -> Call:
    stage = context.get("stage", "$default")
    path = event["rawPath"] or "/"
    script = f"/{stage}" if stage != "$default" and f"{path}/".startswith(f"/{stage}/") else ""
    cookies = event.get("cookies") or []
    return Call(
        form="http",
        method=context["http"]["method"],
        path=unquote_to_bytes(path.removeprefix(script) or "/"),
        script=script,
        query=event.get("rawQueryString") or "",
        headers=[*_headers(event), *(("cookie", cookie) for cookie in cookies)],
        body=_body(event),
        client=context["http"].get("sourceIp", ""),
    )


def _headers(event: Mapping[str, Any]) -> Headers:
    several = event.get("multiValueHeaders")
    return [(name.lower(), value) for name, value in _pairs(several or event.get("headers") or {})]


def _pairs(values: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for name, value in values.items():
        for each in value if isinstance(value, list) else [value]:
            yield name, str(each)


def _body(event: Mapping[str, Any]) -> bytes:
    body = event.get("body") or ""
    return base64.b64decode(body, validate=True) if event.get("isBase64Encoded") else str(body).encode()


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _as_text(headers: Headers, body: bytes) -> str | None:
    found = {name.lower(): value.lower() for name, value in headers}
    kind = found.get("content-type", "")
    if body and ("content-encoding" in found or not (kind.startswith(TEXT) or "+json" in kind)):
        return None
    try:
        return body.decode()
    except UnicodeDecodeError:
        return None


def _spread(values: Mapping[str, list[str]]) -> Iterable[tuple[str, str]]:
    """Each name once; cookies, which cannot be joined, under names that differ in case alone."""
    for name, several in values.items():
        if name != "set-cookie":
            yield name, ", ".join(several)
            continue
        for i, cookie in enumerate(several):
            yield "".join(c.upper() if i >> n & 1 else c for n, c in enumerate(name)), cookie


def _phrase(status: int) -> str:
    return HTTPStatus(status).phrase if status in HTTPStatus._value2member_map_ else "Unknown"
