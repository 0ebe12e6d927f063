"""DDOs: documents about assets, read as tolerantly as is safe, and kept as the text that came in.

Only the frame is read here: identity, services, proof. What an asset is stands in ``assets``, what is offered in
``offers``.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from foedus.core.codecs.strict_json import parse
from foedus.core.errors import Invalid, TooLarge
from foedus.core.market.dids import Did
from foedus.core.market.fields import mapping, objects, refuse, text

MAX_BYTES = 1 << 20
MAX_DEPTH = 40
_ZERO = re.compile(rb"(?<!\\)(?:\\\\)*\\u0000")  # as JSON writes it, and not a backslash before such letters
REQUIRED = ("@context", "created", "id", "publicKey", "authentication", "proof", "service")


@dataclass(frozen=True, slots=True)
class Service:
    """One service of a document. ``index`` is a text: a number in new documents, digits in a text in older ones."""

    index: str
    type: str
    endpoint: str
    template_id: str
    attributes: Mapping[str, Any]
    source: Mapping[str, Any]

    @property
    def main(self) -> Mapping[str, Any]:
        return mapping(self.attributes, "main", "attributes")


@dataclass(frozen=True, slots=True)
class Document:
    """A DDO: ``raw`` is its text, ``data`` what that says, keys in their order."""

    raw: str
    data: Mapping[str, Any]
    did: Did
    services: tuple[Service, ...]

    @classmethod
    def read(cls, raw: bytes) -> Self:
        """Raises Invalid with the position or the field where it is none; TooLarge over 1 MiB."""
        if len(raw) > MAX_BYTES:
            raise TooLarge(f"a document has at most {MAX_BYTES} bytes, not {len(raw)}")
        data = parse(raw, max_depth=MAX_DEPTH)
        if not isinstance(data, dict):
            raise Invalid("a DDO is a JSON object")
        check_characters(data)
        if "id" not in data:
            raise Invalid("the document has no 'id'", field="id")
        services = tuple(
            read_service(source, f"service[{i}]", position=i)
            for i, source in enumerate(objects(data, "service", "ddo"))
        )
        seen: set[str] = set()
        for service in services:
            if service.index in seen:
                raise Invalid(f"two services have the index {service.index}", field="service")
            seen.add(service.index)
        return cls(raw.decode(), data, Did.parse(data["id"], "id"), services)

    @classmethod
    def of(cls, data: Mapping[str, Any]) -> Self:
        """The same of what was read already. Raises as ``read`` does."""
        return cls.read(json.dumps(data).encode())

    def find_service(self, *types: str) -> Service | None:
        """The first service of one of these types."""
        return next((service for service in self.services if service.type in types), None)

    @property
    def metadata(self) -> Service:
        """Raises Invalid when there is no metadata service."""
        service = self.find_service("metadata")
        if service is None:
            raise Invalid("the document has no service of type metadata", field="service")
        return service

    @property
    def name(self) -> str:
        """As its owner wrote it; empty where there is none. Raises Invalid without metadata."""
        return str(self.metadata.main.get("name") or "")

    @property
    def description(self) -> str:
        """The same. Nobody checks what else there is about an asset: it may be of any kind."""
        more = self.metadata.attributes.get("additionalInformation")
        return str(more.get("description") or "") if isinstance(more, dict) else ""

    @property
    def proof(self) -> Mapping[str, Any]:
        return mapping(self.data, "proof", "ddo")

    def endpoint(self, service: Service) -> str:
        """Where a service is found; ``{did}`` in an address stands for this document's own DID."""
        return service.endpoint.replace("{did}", str(self.did))


def check_complete(document: Document) -> None:
    """Raise Invalid naming the first key without which a document cannot be published."""
    for key in REQUIRED:
        if key not in document.data:
            raise Invalid(f"the document has no {key!r}", field=key)
    for key in ("publicKey", "authentication"):  # readers go through them, of whole pages of documents
        if document.data[key] is None:
            raise refuse(f"ddo.{key}", "a list of objects", None)
        objects(document.data, key, "ddo")


def check_characters(data: Mapping[str, Any]) -> None:
    """Raise Invalid for what no database keeps: halves of characters, and the one with the number 0."""
    try:
        text = json.dumps(data, ensure_ascii=False).encode()
    except UnicodeEncodeError as exc:
        raise Invalid("there is half a character (a surrogate without its pair)") from exc
    if _ZERO.search(text):
        raise Invalid("there is a character with the number 0")


def read_service(source: Mapping[str, Any], where: str, *, position: int | None = None) -> Service:
    """One service, found at ``where``; its ``position`` is its index where it states none. Raises Invalid."""
    index = source.get("index", position)
    if isinstance(index, bool) or not isinstance(index, int | str) or len(str(index)) > 10:
        raise Invalid(f"{where}.index must be a number", field=f"{where}.index")
    return Service(
        index=str(index),
        type=text(source, "type", where).lower(),
        endpoint=text(source, "serviceEndpoint", where, default=""),
        template_id=text(source, "templateId", where, default=""),
        attributes=mapping(source, "attributes", where),
        source=source,
    )
