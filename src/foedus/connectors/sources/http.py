"""Files on web servers."""

from collections.abc import Iterator
from contextlib import contextmanager

from foedus.connectors.contents import Terms, reading
from foedus.connectors.downloads import download
from foedus.connectors.web import Web, checked
from foedus.core.errors import Invalid
from foedus.ports.sources import Info, Listing, Reading


class HttpSource:
    """``info``: ``path``, an address that begins with http:// or https://."""

    def __init__(self, terms: Terms) -> None:
        self._terms = terms
        self._web = Web(terms.guard)

    @contextmanager
    def read(self, info: Info) -> Iterator[Reading]:
        with download(self._web, info.get("path", "")) as content, reading(content, info, self._terms) as found:
            yield found

    def browse(self, info: Info) -> Listing:
        checked(info.get("path", ""), "path")
        raise Invalid("a web server does not tell which files it has; name the file in path")
