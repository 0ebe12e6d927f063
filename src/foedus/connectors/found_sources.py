"""The kinds of sources, streams and transports that are installed, each made when it is first asked for."""

import threading
from collections.abc import Mapping
from importlib import import_module
from typing import Any, cast

from foedus.connectors.contents import Terms
from foedus.core.errors import Invalid
from foedus.core.registry import Unregistered, load, names
from foedus.core.symetryml.messages import csv_message, json_message
from foedus.core.symetryml.rows import CsvForm
from foedus.ports.exchange import Exchange, NoSuchExchange, Told
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
                except Unregistered:
                    known = ", ".join(sorted(names(self._group)))
                    raise NoSuchKind(f"this server reads no {kind[:40]!r}; it reads {known}") from None
            return self._made[kind]


class FoundExchanges:
    """Transports of federations by their entry points."""

    def __init__(self, terms: Terms) -> None:
        self._found = _Found("foedus.exchange", terms)

    def of(self, kind: str) -> Exchange:
        try:
            found: Exchange = self._found.get(kind)
        except NoSuchKind:
            raise NoSuchExchange(f"this server has no transport {kind[:40]!r} for federations") from None
        return found

    def inventory(self, kind: str, told: Told) -> Mapping[str, Any]:
        asked = getattr(self.of(kind), "inventory", None)
        if asked is None:
            raise NoSuchExchange(f"a transport {kind[:40]!r} has no accounts")
        return cast(Mapping[str, Any], asked(told))


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
