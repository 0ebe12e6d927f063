"""The kinds of sources and streams that are installed, each made when it is first asked for."""

import threading
from importlib import import_module
from typing import Any, cast

from foedus.connectors.contents import Terms
from foedus.core.errors import Invalid
from foedus.core.registry import Unregistered, load
from foedus.core.symetryml.messages import csv_message, json_message
from foedus.core.symetryml.rows import CsvForm
from foedus.ports.sources import Info, NoSuchKind, Source
from foedus.ports.streams import Decoder, Stream


class _Found:
    def __init__(self, group: str, terms: Terms) -> None:
        self._group = group
        self._terms = terms
        self._made: dict[str, Any] = {}
        self._guard = threading.Lock()

    def get(self, kind: str) -> Any:
        with self._guard:
            if kind not in self._made:
                try:
                    self._made[kind] = load(self._group, kind)(self._terms)
                except Unregistered as exc:
                    raise NoSuchKind(exc.message) from None
            return self._made[kind]


class FoundSources:
    """Sources by their entry points."""

    def __init__(self, terms: Terms) -> None:
        self._found = _Found("foedus.sources", terms)

    def of(self, kind: str) -> Source:
        found: Source = self._found.get(kind)
        return found


class FoundStreams:
    """Streams by their entry points."""

    def __init__(self, terms: Terms) -> None:
        self._found = _Found("foedus.streams", terms)

    def of(self, kind: str) -> Stream:
        found: Stream = self._found.get(kind)
        return found

    def decoder(self, info: Info) -> Decoder:
        match (info.get("data.format") or "json").strip().lower():
            case "json":
                return json_message
            case "csv":
                names = [name.strip() for name in info.get("attributeNames", "").split(",") if name.strip()]
                return csv_message(CsvForm.of(info), names)
            case "protobuf":
                return cast(Decoder, import_module("foedus.connectors.protobuf_messages").protobuf_decoder(info))
            case other:
                raise Invalid(f"data.format is json, csv or protobuf, not {other[:40]!r}")
