"""The kinds of sources that are installed, each made when it is first asked for."""

import threading

from foedus.connectors.contents import Terms
from foedus.core.registry import Unregistered, load
from foedus.ports.sources import NoSuchKind, Source

GROUP = "foedus.sources"


class FoundSources:
    """Sources by their entry points."""

    def __init__(self, terms: Terms) -> None:
        self._terms = terms
        self._made: dict[str, Source] = {}
        self._guard = threading.Lock()

    def of(self, kind: str) -> Source:
        with self._guard:
            if kind not in self._made:
                self._made[kind] = self._make(kind)
            return self._made[kind]

    def _make(self, kind: str) -> Source:
        try:
            made: Source = load(GROUP, kind)(self._terms)
        except Unregistered as exc:
            raise NoSuchKind(exc.message) from None
        return made
