"""Bodies on their way in: JSON as a stream, forms, and safetensors with their fields in the query."""

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any, NoReturn

from django.core.files.uploadedfile import UploadedFile
from django.http import HttpRequest, QueryDict
from django.http.multipartparser import MultiPartParser
from django.utils.datastructures import MultiValueDict

from foedus.core.codecs import safetensors, strict_json
from foedus.core.codecs.json_text import Text
from foedus.core.errors import Invalid, TooLarge
from foedus.faces.fma.calls import Call
from foedus.faces.fma.errors import BadFields, LengthRequired, Malformed, UnsupportedMediaType
from foedus.faces.fma.fields import NOT_NULL, Fields
from foedus.services.aggregation.errors import CROSS_FIELD
from foedus.services.aggregation.incoming import MAX_DOCUMENT_BYTES, Weights, json_bytes_in, json_in, safetensors_in

JSON, FORM, MULTIPART = "application/json", "application/x-www-form-urlencoded", "multipart/form-data"
PIECE_BYTES = 1 << 20
MAX_FIELD_BYTES = 8 << 20  # schemas that name every row of a large model
_MAX_JSON_DEPTH = 64
_LISTS = ("clients",)  # of a form's fields


@dataclass(frozen=True, slots=True)
class Body:
    """What was sent: small fields, and the weights under the name that was asked for."""

    values: Mapping[str, Any]
    weights: Weights | None = None
    is_form: bool = False
    is_file: bool = False

    def fields(self, *, partial: bool = False) -> Fields:
        return Fields(self.values, partial=partial, is_form=self.is_form)


@contextmanager
def body_of(call: Call, weights: str = "") -> Iterator[Body]:
    """The body, for the duration of the context; the field named by ``weights`` may be large.

    Raises Malformed, UnsupportedMediaType, LengthRequired, TooLarge, BadFields.
    """
    request = call.request
    kind = (request.content_type or "").lower()
    _check_length(request)
    with ExitStack() as stack:
        if not request.META.get("CONTENT_LENGTH") or request.META["CONTENT_LENGTH"] == "0":
            yield Body({})
        elif kind == JSON:
            yield _json(call, weights, stack)
        elif kind == safetensors.MEDIA_TYPE and weights:
            source = safetensors_in(call.ports, _pieces(request), MAX_DOCUMENT_BYTES)
            yield Body(request.GET.dict(), stack.enter_context(source), is_form=True, is_file=True)
        elif kind in (FORM, MULTIPART):
            yield _form(call, kind, weights, stack)
        else:
            raise UnsupportedMediaType(f'Unsupported media type "{kind[:80]}" in request.')


def _check_length(request: HttpRequest) -> None:
    if request.headers.get("Content-Encoding", "identity").lower() != "identity":
        raise UnsupportedMediaType("Send the body without Content-Encoding.")
    length = request.headers.get("Content-Length", "")
    if not length and request.headers.get("Transfer-Encoding"):
        raise LengthRequired
    if length.isdecimal() and int(length) > MAX_DOCUMENT_BYTES:
        raise TooLarge(f"A body has at most {MAX_DOCUMENT_BYTES} bytes.", limit_bytes=MAX_DOCUMENT_BYTES)


def _pieces(request: HttpRequest) -> Iterator[bytes]:
    while piece := request.read(PIECE_BYTES):
        yield piece


def _json(call: Call, weights: str, stack: ExitStack) -> Body:
    text = Text(_pieces(call.request))
    values: dict[str, Any] = {}
    found: Weights | None = None
    try:
        if text.peek() != ord("{"):
            other = strict_json.parse(text.value(MAX_FIELD_BYTES), max_depth=_MAX_JSON_DEPTH)
            _refuse_non_object(other)
        for name in text.fields():
            if name == weights and text.peek() != ord("n"):
                found = stack.enter_context(json_in(call.ports, text))
            else:
                values[name] = strict_json.parse(text.value(MAX_FIELD_BYTES), max_depth=_MAX_JSON_DEPTH)
        text.end()
    except (TooLarge, BadFields):
        raise
    except Invalid as exc:
        raise Malformed(f"JSON parse error - {exc.message}") from exc
    _check_not_null(values, weights)
    return Body(values, found)


def _refuse_non_object(value: Any) -> NoReturn:
    raise BadFields({CROSS_FIELD: [f"Invalid data. Expected a dictionary, but got {type(value).__name__}."]})


def _form(call: Call, kind: str, weights: str, stack: ExitStack) -> Body:
    """A form. Weights come as a file, or as the text of a field."""
    posted, files = _parsed(call.request, kind)
    values = {name: posted.getlist(name) if name in _LISTS else posted[name] for name in posted}
    file = files.get(weights) if weights else None
    found: Weights | None = None
    try:
        if isinstance(file, UploadedFile):
            found = stack.enter_context(_file(call, file))
        elif weights in values:
            found = stack.enter_context(json_bytes_in(call.ports, iter([str(values.pop(weights)).encode()])))
    except TooLarge:
        raise
    except Invalid as exc:
        raise BadFields({weights: [f"JSON parse error - {exc.message}"]}) from exc
    return Body(values, found, is_form=True, is_file=file is not None)


def _file(call: Call, file: "UploadedFile[Any]") -> Any:
    name = file.name or ""
    if file.content_type == safetensors.MEDIA_TYPE or name.endswith(".safetensors"):
        return safetensors_in(call.ports, file.chunks(PIECE_BYTES), MAX_DOCUMENT_BYTES)
    return json_bytes_in(call.ports, file.chunks(PIECE_BYTES))


def _parsed(request: HttpRequest, kind: str) -> tuple[QueryDict, "MultiValueDict[str, UploadedFile[Any]]"]:
    """Django parses forms of POST alone."""
    if request.method == "POST":
        return request.POST, request.FILES
    if kind == FORM:
        return QueryDict(request.body, encoding=request.encoding), MultiValueDict()
    posted, files = MultiPartParser(
        request.META,
        request,
        request.upload_handlers,
        request.encoding or "utf-8",
    ).parse()
    return posted, files


def _check_not_null(values: Mapping[str, Any], weights: str) -> None:
    if weights and weights in values:
        if values[weights] is None:
            raise BadFields({weights: [NOT_NULL]})
        raise Malformed("JSON parse error - a value begins with n and is not null")
